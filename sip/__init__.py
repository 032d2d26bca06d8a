"""Everything SIP and RTP, and the only room that knows pjsua2. Knows no tenants.

Outside, the edge: doors and connections (sockets), message, headers, sdp and bodies (what may pass), trunks and limits
(who may call, and how often), pool and calls (slots, and the record of an INVITE), tokens (what a dialog's messages
carry), inbound, outbound and edge (routing). Between both, control. Inside a worker: endpoint
(the SIP stack), call (one line), dialog (the stack's object for it), media (its clock), frames (its sound), playout
(what will be heard), transport (pipecat's view of it). May import `policies` and pipecat's transport base classes.
"""
