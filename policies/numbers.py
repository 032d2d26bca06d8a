"""Telephone numbers as people and networks write them, and the jurisdictions a number may lie in.

A number is a hint, never a proof: it can be ported, roaming or forged. So it only ever adds a jurisdiction to the
candidates, and what cannot be placed adds "unknown", the strictest of all.
"""

import re
from dataclasses import dataclass

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from policies.area_codes import STATE_OF_AREA_CODE
from policies.jurisdictions import UNKNOWN

_LONGEST_TEXT = 64
_LOOKS_LIKE_A_NUMBER = re.compile(r"\s*(?:tel:)?\s*[+\uff0b(]?\s*\d", re.IGNORECASE)
_SCHEME = re.compile(r"\s*tel:", re.IGNORECASE)
_CROWN_DEPENDENCIES = frozenset({"GG", "JE", "IM"})
_ORDINARY = frozenset(
    {
        PhoneNumberType.FIXED_LINE,
        PhoneNumberType.MOBILE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE,
        PhoneNumberType.VOIP,
    }
)


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A number that exists in its numbering plan."""

    e164: str
    """Such as "+493012345678"."""
    region: str
    """ISO 3166-1 code by the numbering plan, or "001" for numbers of no country."""
    toll_free: bool


def is_country(code: str) -> bool:
    """Whether there is a country of this code (ISO 3166-1 alpha-2), as far as it has telephone numbers."""
    return code in phonenumbers.SUPPORTED_REGIONS


def parse_number(text: str, default_region: str | None = None) -> PhoneNumber | None:
    """The number that a person typed or a network sent; None when it is none, or none that exists.

    `default_region` (ISO 3166-1) is where a number without a country code is read. What does not exist there is read
    again as an international number whose plus was lost or written as 00, as trunks often send it.
    """
    if len(text) > _LONGEST_TEXT or not _LOOKS_LIKE_A_NUMBER.match(text):
        return None
    written = _SCHEME.sub("", text).strip()
    return _read(written, default_region) or _read("+" + written.removeprefix("00"), None)


def jurisdictions_of(number: PhoneNumber | None) -> tuple[str, ...]:
    """Where the law may be that this number brings in: one candidate, "unknown" where the number does not tell.

    None stands for a withheld or impossible number. Toll-free numbers and those of no country are unknown, and so is a
    number that its plan gives to Guernsey, Jersey or the Isle of Man: their mobile ranges are used all over Britain. A
    number of the United States gives its state or, where its code belongs to none, "unknown".
    """
    if number is None or number.toll_free or number.region == "001" or number.region in _CROWN_DEPENDENCIES:
        return (UNKNOWN,)
    if number.region == "US":
        return (STATE_OF_AREA_CODE.get(number.e164[2:5], UNKNOWN),)
    return (number.region,)


def is_ordinary_line(number: PhoneNumber) -> bool:
    """Whether it is the line of a person or a shop: not premium, shared-cost, toll-free, a pager, or of no country."""
    return number.region != "001" and phonenumbers.number_type(phonenumbers.parse(number.e164, None)) in _ORDINARY


def region_of(jurisdiction: str) -> str:
    """In which country's numbering plan a business of this jurisdiction lies: "US" for "US-CA"."""
    return jurisdiction.partition("-")[0]


def identity_of(caller: str, region: str) -> str:
    """Whom a line means by what it wrote: E.164, however a trunk of this region writes it (+49 30…, 0049 30…, 030…).

    What is no number, such as the name of an extension, is its own identity.
    """
    number = parse_number(caller, region)
    return caller if number is None else number.e164


def spaced_form(text: str) -> str:
    """As people read a number, `+49 30 23125001`; what is no international number comes back as it is."""
    number = _parsed(text, None) if text.startswith("+") else None
    if number is None:
        return text
    return phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)


def _parsed(text: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    """What exists in some numbering plan."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    return number if phonenumbers.is_valid_number(number) else None


def _read(text: str, region: str | None) -> PhoneNumber | None:
    number = _parsed(text, region)
    home = None if number is None else phonenumbers.region_code_for_number(number)
    if number is None or home is None:
        return None
    return PhoneNumber(
        e164=phonenumbers.format_number(number, PhoneNumberFormat.E164),
        region=home,
        toll_free=phonenumbers.number_type(number) == PhoneNumberType.TOLL_FREE,
    )
