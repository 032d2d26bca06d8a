"""A telephone in software: places real SIP calls with real RTP, for the terminal, the demo and the tests.

Nouns: message (SIP text), connection (UDP, TCP or TLS to the server), dialog (one call's signalling), rtp (its sound),
conversation (who speaks when). Written apart from `sip` on purpose: a peer that shares no code with the server is a
witness, not an accomplice.
"""
