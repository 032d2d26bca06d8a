"""Numbers as people write them, and the places they may lie in."""

import phonenumbers
import pytest
from phonenumbers import geocoder

from policies.area_codes import STATE_OF_AREA_CODE
from policies.jurisdictions import UNKNOWN
from policies.numbers import identity_of, is_country, jurisdictions_of, parse_number, region_of

STATE_NAMES = {
    "Alabama": "AL", "Alaska": "AK", "Arizona": "AZ", "Arkansas": "AR", "California": "CA", "Colorado": "CO",
    "Connecticut": "CT", "Delaware": "DE", "Florida": "FL", "Georgia": "GA", "Hawaii": "HI", "Idaho": "ID",
    "Illinois": "IL", "Indiana": "IN", "Iowa": "IA", "Kansas": "KS", "Kentucky": "KY", "Louisiana": "LA",
    "Maine": "ME", "Maryland": "MD", "Massachusetts": "MA", "Michigan": "MI", "Minnesota": "MN", "Mississippi": "MS",
    "Missouri": "MO", "Montana": "MT", "Nebraska": "NE", "Nevada": "NV", "New Hampshire": "NH", "New Jersey": "NJ",
    "New Mexico": "NM", "New York": "NY", "North Carolina": "NC", "North Dakota": "ND", "Ohio": "OH",
    "Oklahoma": "OK", "Oregon": "OR", "Pennsylvania": "PA", "Rhode Island": "RI", "South Carolina": "SC",
    "South Dakota": "SD", "Tennessee": "TN", "Texas": "TX", "Utah": "UT", "Vermont": "VT", "Virginia": "VA",
    "Washington State": "WA", "Washington D.C.": "DC", "West Virginia": "WV", "Wisconsin": "WI", "Wyoming": "WY",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "region", "e164"),
    [
        ("+493012345678", None, "+493012345678"),
        ("+49 30 12345678", None, "+493012345678"),
        ("+49 (0)30 123 456 78", None, "+493012345678"),
        ("0049 30 12345678", None, "+493012345678"),
        ("0049 30 12345678", "DE", "+493012345678"),
        ("0049 30 12345678", "US", "+493012345678"),
        ("493012345678", None, "+493012345678"),
        ("030 12345678", "DE", "+493012345678"),
        ("030/123456-78", "DE", "+493012345678"),
        ("tel:+49-30-12345678", None, "+493012345678"),
        ("(212) 555-0123", "US", "+12125550123"),
        ("212.555.0123", "US", "+12125550123"),
        ("1 212 555 0123", "US", "+12125550123"),
        ("12125550123", "DE", "+12125550123"),
        ("011 44 20 7946 0018", "US", "+442079460018"),
        ("020 7946 0018", "GB", "+442079460018"),
        ("1-800-FLOWERS", "US", "+18003569377"),
        ("06 12 34 56 78", "FR", "+33612345678"),
        ("02 1234 5678", "IT", "+390212345678"),
        (" +1 212 555 0123 ", None, "+12125550123"),
        ("030 12345678", None, None),
        ("212 555 0123", "DE", "+492125550123"),
        ("+1 212 555 012", None, None),
        ("+999 123 456", None, None),
        ("", "DE", None),
        ("anonymous", "DE", None),
        ("demo", "US", None),
        ("agent2125550123", "US", None),
        ("100", "DE", None),
        ("112", "DE", None),
        ("+", None, None),
        ("++49", None, None),
        ("1" * 65, "US", None),
        ("2125550123", "XX", None),
    ],
)
def test_parse(text: str, region: str | None, e164: str | None) -> None:
    """What a person types or a trunk sends becomes E.164, or nothing."""
    number = parse_number(text, region)
    assert (number.e164 if number else None) == e164


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("+493012345678", ("DE",)),
        ("+4915112345678", ("DE",)),
        ("+12125550123", ("US-NY",)),
        ("+14155550123", ("US-CA",)),
        ("+12025550123", ("US-DC",)),
        ("+19075550123", ("US-AK",)),
        ("+14165550123", ("CA",)),
        ("+17875550123", ("PR",)),
        ("+442079460018", ("GB",)),
        ("+447400123456", ("GB",)),
        ("+447911123456", (UNKNOWN,)),
        ("+441481960194", (UNKNOWN,)),
        ("+447797712345", (UNKNOWN,)),
        ("+447624123456", (UNKNOWN,)),
        ("+18005550123", (UNKNOWN,)),
        ("+498001234567", (UNKNOWN,)),
        ("+15005550123", (UNKNOWN,)),
        ("+19005550123", (UNKNOWN,)),
        ("+88216123456", (UNKNOWN,)),
        ("+80012345678", (UNKNOWN,)),
        ("+3581812345", ("AX",)),
        ("+390669820000", ("VA",)),
        ("anonymous", (UNKNOWN,)),
        ("+1212555", (UNKNOWN,)),
    ],
)
def test_places(text: str, places: tuple[str, ...]) -> None:
    """A number brings in one place, and "unknown" where its plan does not tell."""
    assert jurisdictions_of(parse_number(text)) == places


def test_a_withheld_number_is_unknown() -> None:
    """No number, no place."""
    assert jurisdictions_of(None) == (UNKNOWN,)


def test_area_codes_agree_with_the_geocoder() -> None:
    """Each valid US area code that gives a state has that state in our table, and the table has no other code."""
    found: dict[str, str] = {}
    without_state = 0
    for code in range(200, 1000):
        numbers = [phonenumbers.parse(f"+1{code}{rest}") for rest in ("2345678", "5550123", "2125555")]
        number = next((n for n in numbers if phonenumbers.is_valid_number(n)), None)
        if number is None or phonenumbers.region_code_for_number(number) != "US":
            continue
        place = geocoder.description_for_number(number, "en", region="US")
        if place:
            found[str(code)] = "US-" + (STATE_NAMES.get(place) or place.rsplit(", ", maxsplit=1)[1])
        else:
            without_state += 1
    assert found == STATE_OF_AREA_CODE
    assert len(found) == 359
    assert len(set(found.values())) == 51
    assert without_state == 24


@pytest.mark.parametrize(
    ("code", "is_one"),
    [("DE", True), ("US", True), ("GB", True), ("ZZ", False), ("de", False), ("EU", False), ("", False)],
)
def test_countries_are_known_by_their_codes(code: str, is_one: bool) -> None:  # noqa: FBT001  # a table's column
    """What is no country, or none with telephones, is not taken for one."""
    assert is_country(code) is is_one


@pytest.mark.parametrize(
    ("written", "jurisdiction", "whose"),
    [
        ("+493023125001", "DE", "+493023125001"),
        ("03023125001", "DE", "+493023125001"),
        ("0049 30 23125001", "DE-BY", "+493023125001"),
        ("493023125001", "DE", "+493023125001"),
        ("2125550123", "US-NY", "+12125550123"),
        ("0662880001", "AT", "+43662880001"),
        ("0662880001", "DE", "+49662880001"),
        ("reception", "DE", "reception"),
        ("100", "DE", "100"),
        ("anonymous", "US", "anonymous"),
    ],
)
def test_one_person_is_one_identity(written: str, jurisdiction: str, whose: str) -> None:
    """However the line writes the number, read where the call comes in; what is no number stays what it is."""
    assert identity_of(written, region_of(jurisdiction)) == whose
