"""Calls from a browser: WebRTC on one side, a telephone of this machine's own on the other, sound passed on unchanged.

Nouns: offer (the browser's SDP), web (ICE, DTLS-SRTP, RTP), telephone (SIP towards the edge), call (both ends joined),
service (takes wishes for calls on a Unix socket, in the words of messages).

Browsers speak G.711 like telephones do (RFC 7874 section 3), so nothing is decoded, encoded or held back here: each RTP
packet goes on as it comes, and whoever plays it out has the only jitter buffer. May import what `sip` may. Only
`web` knows aiortc, and only the process of its own that runs `service` imports it.
"""
