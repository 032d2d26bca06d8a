"""Carriers and telephone systems with a guide (`templates/guide_….html`), and the trunk that goes with each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from store.trunks import MinTls, Srtp


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """One carrier or telephone system."""

    key: str
    name: str
    lead: str
    networks: Sequence[str] = ()
    """As its maker publishes them; empty where they are the reader's own."""
    transports: Sequence[str] = ("tls",)
    srtp: Srtp = "mandatory"
    min_tls: MinTls = "1.3"
    sources: Sequence[str]


_ALL: Final = (
    Guide(
        key="twilio",
        name="Twilio",
        lead="Elastic SIP Trunking, encrypted by TLS and SRTP.",
        networks=("54.172.60.0/30", "54.244.51.0/30", "54.171.127.192/30", "35.156.191.128/30"),
        min_tls="1.2",
        sources=(
            "https://www.twilio.com/docs/sip-trunking",
            "https://www.twilio.com/docs/sip-trunking/ip-addresses",
            "https://www.twilio.com/docs/api/errors/32222",
        ),
    ),
    Guide(
        key="telnyx",
        name="Telnyx",
        lead="A SIP connection that sends calls to this server's name.",
        networks=("192.76.120.10", "64.16.250.10", "5.172.39.10", "5.172.39.25"),
        srtp="optional",
        sources=(
            "https://developers.telnyx.com/docs/voice/sip-trunking/routing/failover-and-retries",
            "https://support.telnyx.com/en/articles/4404448-sip-connection-inbound-outbound-settings",
        ),
    ),
    Guide(
        key="sipgate",
        name="sipgate",
        lead="sipgate wants a registration, which this server does not do: a telephone system in between does.",
        sources=("https://www.sipgate.de/trunking",),
    ),
    Guide(
        key="freepbx",
        name="FreePBX",
        lead="A trunk without registration, over TLS with SRTP, and a route to it.",
        sources=("https://sangomakb.atlassian.net/wiki/spaces/FP/overview",),
    ),
    Guide(
        key="3cx",
        name="3CX",
        lead="A generic SIP trunk by address, and an outbound rule to it.",
        sources=("https://www.3cx.com/docs/sip-trunk-options/",),
    ),
)
GUIDES: Final[Mapping[str, Guide]] = {guide.key: guide for guide in _ALL}
