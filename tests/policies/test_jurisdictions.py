"""The legal table is complete and well-formed, and the right rows bind in the right place."""

from datetime import date, timedelta

import pytest

from policies.area_codes import STATE_OF_AREA_CODE
from policies.jurisdictions import (
    ANYWHERE,
    UNKNOWN,
    AiDisclosure,
    Confidence,
    LegalRow,
    RecordingConsent,
    Rule,
    binding_rows,
    country_of,
    laws_over,
)
from policies.legal_table import CHECKED_ON, LEGAL_TABLE

TODAY = date(2026, 11, 23)


def row(
    place: str,
    value: int,
    *,
    confidence: Confidence = Confidence.HIGH,
    since: date | None = None,
    until: date | None = None,
) -> LegalRow:
    return LegalRow(
        jurisdiction=place,
        rule=Rule.AI_DISCLOSURE,
        value=value,
        statute="a statute",
        source="a source",
        confidence=confidence,
        checked_on=TODAY,
        effective_from=since,
        effective_to=until,
    )


@pytest.mark.parametrize("legal_row", LEGAL_TABLE, ids=lambda r: f"{r.jurisdiction} {r.rule} {r.value}")
def test_each_row_says_what_it_rests_on(legal_row: LegalRow) -> None:
    """Every row names a place, a statute, a source and a day on which it was checked, and ends after it begins."""
    assert legal_row.statute
    assert legal_row.source
    assert legal_row.checked_on <= CHECKED_ON
    known = legal_row.jurisdiction in {UNKNOWN, ANYWHERE, "EU"} or country_of(legal_row.jurisdiction) is not None
    assert known
    if legal_row.effective_from and legal_row.effective_to:
        assert legal_row.effective_from <= legal_row.effective_to


@pytest.mark.parametrize(
    ("rule", "strictest"),
    [(Rule.AI_DISCLOSURE, max(AiDisclosure)), (Rule.RECORDING_CONSENT, max(RecordingConsent))],
)
def test_unknown_is_the_safest(rule: Rule, strictest: int) -> None:
    """The row for unknown places is the strictest there can be."""
    assert [r.value for r in binding_rows(LEGAL_TABLE, UNKNOWN, rule, TODAY)] == [strictest]


@pytest.mark.parametrize("state", sorted(set(STATE_OF_AREA_CODE.values())))
def test_each_state_has_its_own_recording_row(state: str) -> None:
    """No state hides behind the lax federal row alone."""
    rows = binding_rows(LEGAL_TABLE, state, Rule.RECORDING_CONSENT, TODAY)
    assert {r.jurisdiction for r in rows} == {state, "US"}


@pytest.mark.parametrize(
    ("jurisdiction", "laws"),
    [
        ("DE", ("DE", "EU", ANYWHERE)),
        ("NO", ("NO", "EU", ANYWHERE)),
        ("GB", ("GB", ANYWHERE)),
        ("US-CA", ("US-CA", "US", ANYWHERE)),
        ("US", ("US", UNKNOWN, ANYWHERE)),
        ("EU", ("EU", ANYWHERE)),
        (UNKNOWN, (UNKNOWN, ANYWHERE)),
        ("", ("", ANYWHERE)),
    ],
)
def test_laws_over(jurisdiction: str, laws: tuple[str, ...]) -> None:
    """A place stands under its own law, its federation's and its union's."""
    assert laws_over(jurisdiction) == laws


@pytest.mark.parametrize(
    ("place", "rule", "values"),
    [
        ("DE", Rule.RECORDING_CONSENT, {RecordingConsent.ALL_EXPLICIT}),
        ("FR", Rule.RECORDING_CONSENT, {RecordingConsent.INFORM_AND_OBJECT}),
        ("GB", Rule.RECORDING_CONSENT, {RecordingConsent.INFORM}),
        ("CA", Rule.RECORDING_CONSENT, {RecordingConsent.ONE_PARTY, RecordingConsent.ALL_BY_NOTICE}),
        ("FI", Rule.RECORDING_CONSENT, {RecordingConsent.INFORM, RecordingConsent.ALL_EXPLICIT}),
        ("PL", Rule.RECORDING_CONSENT, {RecordingConsent.ALL_EXPLICIT}),
        ("JP", Rule.RECORDING_CONSENT, {RecordingConsent.ALL_EXPLICIT}),
        ("PR", Rule.RECORDING_CONSENT, {RecordingConsent.ALL_EXPLICIT}),
        ("US-NY", Rule.RECORDING_CONSENT, {RecordingConsent.ONE_PARTY}),
        ("US-XX", Rule.RECORDING_CONSENT, {RecordingConsent.ONE_PARTY, RecordingConsent.ALL_EXPLICIT}),
        ("US-ny", Rule.RECORDING_CONSENT, {RecordingConsent.ONE_PARTY, RecordingConsent.ALL_EXPLICIT}),
        ("US", Rule.RECORDING_CONSENT, {RecordingConsent.ONE_PARTY, RecordingConsent.ALL_EXPLICIT}),
        ("DE", Rule.AI_DISCLOSURE, {AiDisclosure.REQUIRED}),
        ("US-CA", Rule.AI_DISCLOSURE, {AiDisclosure.IN_SOME_CASES}),
        ("US-NY", Rule.AI_DISCLOSURE, {AiDisclosure.NONE_FOUND, AiDisclosure.REQUIRED}),
        ("US-FL", Rule.AI_DISCLOSURE, {AiDisclosure.REQUIRED}),
        ("FR", Rule.RECORDING_MAX_DAYS, {183}),
        ("DE", Rule.RECORDING_MAX_DAYS, {365}),
        ("DE", Rule.VOUCHER_MIN_YEARS, {7, 8}),
        ("GB", Rule.VOUCHER_MIN_YEARS, {7}),
        ("DE", Rule.CONSENT_PROOF_MIN_YEARS, {5}),
        ("GB", Rule.CONSENT_PROOF_MIN_YEARS, set()),
        ("GB", Rule.CARD_CODE_NEVER_STORED, {True}),
    ],
)
def test_what_binds_where(place: str, rule: Rule, values: set[int]) -> None:
    """The rows that bind in a place today have these values; doubtful and missing rows bring in "unknown"."""
    assert {r.value for r in binding_rows(LEGAL_TABLE, place, rule, TODAY)} == values


@pytest.mark.parametrize(
    ("day", "binds"),
    [(date(2026, 8, 1), False), (date(2026, 8, 2), True), (date(2027, 3, 1), True), (date(2027, 3, 2), False)],
)
def test_rows_bind_from_their_first_day_to_their_last(day: date, binds: bool) -> None:  # noqa: FBT001 - a table's column
    """Both ends are included."""
    bounded = row("XX", 1, since=date(2026, 8, 2), until=date(2027, 3, 1))
    assert bounded.in_force(day) is binds


def test_before_a_law_the_place_is_unknown() -> None:
    """The day before the AI Act applies, its place is one we have no row for, and so the safest rule binds."""
    before = date(2026, 8, 2) - timedelta(days=1)
    assert {r.jurisdiction for r in binding_rows(LEGAL_TABLE, "DE", Rule.AI_DISCLOSURE, before)} == {UNKNOWN}


def test_a_doubtful_row_forbids_but_does_not_permit() -> None:
    """Beside a permission of low confidence the safest rule binds too; beside one we are sure of it does not."""
    safest = row(UNKNOWN, 2)
    doubtful = row("XX", 0, confidence=Confidence.LOW)
    sure = row("XX", 0, confidence=Confidence.MEDIUM)
    assert binding_rows([safest, doubtful], "XX", Rule.AI_DISCLOSURE, TODAY) == (doubtful, safest)
    assert binding_rows([safest, sure], "XX", Rule.AI_DISCLOSURE, TODAY) == (sure,)
