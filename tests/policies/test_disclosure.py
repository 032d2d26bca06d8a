"""What a caller is told and asked: the strictest of all places decides."""

from dataclasses import replace
from datetime import date

import pytest

from policies.disclosure import OnRefusal, ScenarioWishes, candidates_for, decide, may_leave_out_ai_disclosure
from policies.jurisdictions import UNKNOWN, AiDisclosure, Confidence, LegalRow, Rule
from policies.legal_table import LEGAL_TABLE
from policies.verdict import Allow, Deny

TODAY = date(2026, 11, 23)
BERLIN, PARIS, MILAN, LONDON = "+493012345678", "+33142345678", "+390212345678", "+442079460018"
NEW_YORK, NEW_YORK_TOO, LOS_ANGELES, SEATTLE = "+12125550123", "+17185550123", "+12135550123", "+12065550123"
TORONTO, HARTFORD, MIAMI, TOLL_FREE = "+14165550123", "+18605550123", "+13055550123", "+18005550123"
DEFAULTS = ScenarioWishes()

# A table in which New York certainly asks for no disclosure: today no place does.
LENIENT_TABLE = tuple(
    replace(row, confidence=Confidence.HIGH) if row.jurisdiction == "US-NY" and row.rule is Rule.AI_DISCLOSURE else row
    for row in LEGAL_TABLE
)


@pytest.mark.parametrize(
    ("project", "called", "caller", "ask", "starts"),
    [
        pytest.param("US-NY", NEW_YORK, NEW_YORK_TOO, False, "answer", id="one party everywhere"),
        pytest.param("US-NY", NEW_YORK, LOS_ANGELES, False, "disclosure_played", id="caller in California"),
        pytest.param("US-CA", LOS_ANGELES, LOS_ANGELES, False, "disclosure_played", id="California alone"),
        pytest.param("US-CA", LOS_ANGELES, NEW_YORK, False, "disclosure_played", id="project in California"),
        pytest.param("US-NY", NEW_YORK, MIAMI, True, "consent", id="caller in Florida"),
        pytest.param("US-NY", MIAMI, NEW_YORK, True, "consent", id="number in Florida"),
        pytest.param("US-NY", NEW_YORK, SEATTLE, True, "consent", id="notice must be on the recording: Washington"),
        pytest.param("US-NY", NEW_YORK, HARTFORD, True, "consent", id="notice must be on the recording: Connecticut"),
        pytest.param("US-NY", NEW_YORK, TORONTO, False, "disclosure_played", id="caller in Canada"),
        pytest.param("CA", TORONTO, TORONTO, False, "disclosure_played", id="Canada alone"),
        pytest.param("GB", LONDON, LONDON, False, "disclosure_played", id="Britain alone"),
        pytest.param("IT", MILAN, MILAN, False, "disclosure_played", id="Italy alone"),
        pytest.param("IT", MILAN, BERLIN, True, "consent", id="caller in Germany"),
        pytest.param("DE", BERLIN, BERLIN, True, "consent", id="Germany alone"),
        pytest.param("FR", PARIS, PARIS, True, "consent", id="France alone, where callers may object"),
        pytest.param("FI", "+358942345678", "+358942345678", True, "consent", id="a doubtful permission"),
        pytest.param("PL", "+48221234567", "+48221234567", True, "consent", id="not checked"),
        pytest.param("US-NY", NEW_YORK, None, True, "consent", id="caller withheld"),
        pytest.param("US-NY", NEW_YORK, "anonymous", True, "consent", id="caller anonymous"),
        pytest.param("US-NY", NEW_YORK, TOLL_FREE, True, "consent", id="caller toll-free"),
        pytest.param("US-NY", TOLL_FREE, NEW_YORK, True, "consent", id="number toll-free"),
        pytest.param("US-NY", "demo", NEW_YORK, True, "consent", id="a dialled name"),
        pytest.param("US-NY", NEW_YORK, "+447911123456", True, "consent", id="Guernsey or not"),
        pytest.param("US", NEW_YORK, NEW_YORK, True, "consent", id="project in no state"),
        pytest.param(UNKNOWN, NEW_YORK, NEW_YORK, True, "consent", id="project unknown"),
        pytest.param("", NEW_YORK, NEW_YORK, True, "consent", id="project not set"),
        pytest.param("US-NY", NEW_YORK, "(718) 555-0123", False, "answer", id="caller in national form"),
    ],
)
def test_recording(project: str, called: str, caller: str | None, ask: bool, starts: str) -> None:  # noqa: FBT001 - a table's column
    """Each place that may have a say is heard; the strictest decides who is asked and when recording starts."""
    decision = decide(
        project_jurisdiction=project, called=called, caller=caller, wishes=DEFAULTS, on_date=TODAY, table=LEGAL_TABLE
    )
    assert decision.ask_consent is ask
    assert decision.recording_starts == starts
    assert decision.recording_allowed
    assert decision.announce_recording
    assert decision.disclose_ai
    assert decision.on_refusal == "go_on_unrecorded"
    assert len(decision.reasons) == 2


@pytest.mark.parametrize(
    ("wishes", "place", "ask", "allowed", "starts"),
    [
        (ScenarioWishes(record=False), "DE", False, False, "consent"),
        (ScenarioWishes(record=False), "US-NY", False, False, "consent"),
        (ScenarioWishes(record=False, always_ask_consent=True), "DE", False, False, "consent"),
        (ScenarioWishes(always_ask_consent=True), "US-NY", True, True, "consent"),
        (ScenarioWishes(always_ask_consent=True), "GB", True, True, "consent"),
        (ScenarioWishes(always_ask_consent=True), "DE", True, True, "consent"),
        (ScenarioWishes(), "US-NY", False, True, "answer"),
    ],
)
def test_wishes(wishes: ScenarioWishes, place: str, ask: bool, allowed: bool, starts: str) -> None:  # noqa: FBT001 - a table's columns
    """A scenario may be stricter than the law: never record, always ask; nobody is asked when nothing is recorded."""
    number = {"DE": BERLIN, "US-NY": NEW_YORK, "GB": LONDON}[place]
    decision = decide(project_jurisdiction=place, called=number, caller=number, wishes=wishes, on_date=TODAY)
    assert (decision.ask_consent, decision.recording_allowed, decision.recording_starts) == (ask, allowed, starts)
    assert decision.announce_recording is allowed


@pytest.mark.parametrize("on_refusal", ["go_on_unrecorded", "transfer", "end"])
def test_what_a_no_means_is_the_scenarios_choice(on_refusal: OnRefusal) -> None:
    """The three meanings of a no go through unchanged."""
    wishes = replace(DEFAULTS, on_refusal=on_refusal)
    decision = decide(project_jurisdiction="DE", called=BERLIN, caller=None, wishes=wishes, on_date=TODAY)
    assert decision.on_refusal == on_refusal


@pytest.mark.parametrize("place", ["DE", "US-CA", "US-UT", "US-ME", "US-CO", "US-TX", "US-NJ", "US-NY", "US-FL", "GB"])
def test_disclosure_stays_on_today(place: str) -> None:
    """With today's table no place is surely free of the duty, so the wish to stay silent is refused with a reason."""
    verdict = may_leave_out_ai_disclosure([place], TODAY)
    assert isinstance(verdict, Deny)
    decision = decide(
        project_jurisdiction=place,
        called=NEW_YORK,
        caller=NEW_YORK,
        wishes=ScenarioWishes(disclose_ai=False),
        on_date=TODAY,
    )
    assert decision.disclose_ai
    assert isinstance(decision.disclosure_off, Deny)
    assert "refused" in decision.reasons[0]


@pytest.mark.parametrize(
    ("caller", "disclosed"),
    [(NEW_YORK_TOO, False), (LOS_ANGELES, True), (BERLIN, True), (None, True), (MIAMI, True)],
)
def test_disclosure_may_be_off_where_no_law_asks(caller: str | None, disclosed: bool) -> None:  # noqa: FBT001 - a table's column
    """Where all candidates are surely free of the duty the scenario decides; one that is not is enough."""
    decision = decide(
        project_jurisdiction="US-NY",
        called=NEW_YORK,
        caller=caller,
        wishes=ScenarioWishes(disclose_ai=False),
        on_date=TODAY,
        table=LENIENT_TABLE,
    )
    assert decision.disclose_ai is disclosed
    assert bool(decision.disclosure_off) is not disclosed


def test_disclosure_is_on_by_default_even_where_no_law_asks() -> None:
    """Nobody has to ask for the disclosure."""
    decision = decide(
        project_jurisdiction="US-NY",
        called=NEW_YORK,
        caller=NEW_YORK_TOO,
        wishes=DEFAULTS,
        on_date=TODAY,
        table=LENIENT_TABLE,
    )
    assert decision.disclose_ai
    assert decision.disclosure_off == Allow()
    assert "by default" in decision.reasons[0]


def test_the_deciding_rows_are_named() -> None:
    """The decision carries the rows that were strictest, and no others, and its reasons cite them."""
    decision = decide(project_jurisdiction="IT", called=MILAN, caller=BERLIN, wishes=DEFAULTS, on_date=TODAY)
    assert {(row.jurisdiction, row.rule) for row in decision.rows} == {
        ("EU", Rule.AI_DISCLOSURE),
        ("DE", Rule.RECORDING_CONSENT),
    }
    assert "DE, StGB 201" in decision.reasons[1]
    assert "Art. 50" in decision.reasons[0]


def test_candidates_are_listed_once_project_first() -> None:
    """Project, called number, caller: in this order and each once."""
    assert candidates_for("IT", MILAN, BERLIN) == ("IT", "DE")
    assert candidates_for("US-NY", "212 555 0123", None) == ("US-NY", UNKNOWN)
    assert candidates_for("", "demo", None) == (UNKNOWN,)


def test_a_new_row_changes_the_decision() -> None:
    """The law is data: a stricter row that starts tomorrow binds tomorrow and not today."""
    tomorrow = date(2026, 11, 24)
    coming = LegalRow(
        jurisdiction="US-NY",
        rule=Rule.AI_DISCLOSURE,
        value=AiDisclosure.REQUIRED,
        statute="a new act",
        source="a test",
        confidence=Confidence.HIGH,
        checked_on=TODAY,
        effective_from=tomorrow,
    )
    table = (*LENIENT_TABLE, coming)
    assert may_leave_out_ai_disclosure(["US-NY"], TODAY, table)
    assert not may_leave_out_ai_disclosure(["US-NY"], tomorrow, table)
