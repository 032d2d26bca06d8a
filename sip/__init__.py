"""Everything SIP and RTP, and the only room that knows pjsua2. Knows no tenants.

Outside, the edge: doors (sockets), message, sdp, limits, tokens, trunks, edge (routing). Inside a worker: endpoint
(the SIP stack), call (one line), media (sound and its clock), transport (pipecat's view of it). May import `policies`
and pipecat's transport base classes.
"""
