"""What a browser offers that wants to call."""

OFFER = "\r\n".join(
    (
        "v=0", "o=- 46117317 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8 13 110 126", "c=IN IP4 0.0.0.0",
        "a=candidate:1 1 udp 2113937151 203.0.113.9 50000 typ host",
        "a=ice-ufrag:EsAw", "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1",
        "a=fingerprint:sha-256 " + ":".join(["0F"] * 32),
        "a=setup:actpass", "a=mid:0", "a=sendrecv", "a=rtcp-mux", "a=rtpmap:111 opus/48000/2", "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:110 telephone-event/48000", "a=rtpmap:126 telephone-event/8000", "",
    )
)  # fmt: skip  # as Chromium writes it, shortened
