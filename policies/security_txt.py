"""How somebody who found a weakness reaches us, what they may expect, and who is thanked: as a machine can read it.

`/.well-known/security.txt` follows RFC 9116. What it says is looked over by a person once a year, which is why its end
is counted from a day written here and not from today: a server that nobody cares for says so by an outdated file.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

REVIEWED: Final = date(2026, 11, 25)
"""When a person last made sure that all of this is so. A test asks for a new look in time."""
VALID_DAYS: Final = 350
"""RFC 9116 2.5.5 wants less than a year."""
REMIND_DAYS: Final = 30
CONTACT: Final = "security@aitelier.org"
LANGUAGES: Final = ("en", "de")
ACKNOWLEDGE_BUSINESS_DAYS: Final = 2
REMEDIATE_CRITICAL_DAYS: Final = 14
THANKED: Final[tuple[tuple[date, str], ...]] = ()
"""The hall of fame: when a report was settled, and whom we may name for it."""

PATH: Final = "/.well-known/security.txt"
POLICY_PATH: Final = "/security/policy"
THANKS_PATH: Final = "/security/thanks"


def expires() -> datetime:
    """Until when the file may be relied on."""
    return datetime.combine(REVIEWED + timedelta(days=VALID_DAYS), time(), UTC)


def security_txt(base_url: str | None) -> str:
    """The file.

    Args:
        base_url: Under which the server can be reached, such as "https://calls.example"; None where it has no public
            address by https, without which RFC 9116 allows no reference to other pages.
    """
    lines = [
        "# A PGP key is available on request.",
        f"Contact: mailto:{CONTACT}",
        f"Expires: {expires():%Y-%m-%dT%H:%M:%SZ}",
        f"Preferred-Languages: {', '.join(LANGUAGES)}",
    ]
    if base_url is not None:
        lines += [
            f"Canonical: {base_url}{PATH}",
            f"Policy: {base_url}{POLICY_PATH}",
            f"Acknowledgments: {base_url}{THANKS_PATH}",
        ]
    return "\n".join(lines) + "\n"


def policy() -> str:
    """What a reporter may expect of us, and we of them."""
    return (
        f"Please report a vulnerability to {CONTACT}, not in a public issue. A PGP key is available on request.\n"
        "\n"
        f"We acknowledge a report within {ACKNOWLEDGE_BUSINESS_DAYS} business days.\n"
        f"We aim to remediate critical issues within {REMEDIATE_CRITICAL_DAYS} days, and tell you how it is going until"
        " then.\n"
        "We credit reporters in our hall of fame, if they wish.\n"
        "\n"
        "What helps: the version, what an attacker can do, and the steps that show it. Please use only your own server"
        " and your own calls; never listen to other people's.\n"
    )


def thanks() -> str:
    """The hall of fame, newest first."""
    if not THANKED:
        return "Nobody yet. The first report that helps is named here, if its author wishes.\n"
    return "".join(f"{settled:%Y-%m-%d}  {name}\n" for settled, name in sorted(THANKED, reverse=True))
