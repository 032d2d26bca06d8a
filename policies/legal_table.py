"""The law on telephone assistants as data: one row, one rule of one place, with its source, day and confidence.

To change the law here, change a row and run the tests; decisions follow from the rows alone. A place without a row
counts as "unknown". "Not checked" rows stand for places that were considered and still wait to be looked at.
"""

from datetime import date

from policies.jurisdictions import ANYWHERE, UNKNOWN, AiDisclosure, Confidence, LegalRow, RecordingConsent, Rule

CHECKED_ON = date(2026, 11, 23)
HIGH, MEDIUM, LOW = Confidence.HIGH, Confidence.MEDIUM, Confidence.LOW

_SAFE_EVERYWHERE = "our own rule: what is safe under every law we know"


def _row(  # noqa: PLR0917 - the columns of a table are read by position
    jurisdiction: str,
    rule: Rule,
    value: AiDisclosure | RecordingConsent | int,
    statute: str,
    confidence: Confidence,
    source: str,
    *,
    since: date | None = None,
    until: date | None = None,
    note: str = "",
) -> LegalRow:
    return LegalRow(
        jurisdiction=jurisdiction,
        rule=rule,
        value=value,
        statute=statute,
        source=source,
        confidence=confidence,
        checked_on=CHECKED_ON,
        effective_from=since,
        effective_to=until,
        note=note,
    )


_AI = Rule.AI_DISCLOSURE
_AI_DISCLOSURE = (
    _row(UNKNOWN, _AI, AiDisclosure.REQUIRED, "none named", HIGH, _SAFE_EVERYWHERE,
         note="always in the first sentence, in the call's language, not to be cut by talking over it"),
    _row("EU", _AI, AiDisclosure.REQUIRED, "Regulation (EU) 2024/1689, Art. 50(1) and (5)", HIGH,
         "betterregulation text; compliancehub; heuking", since=date(2026, 8, 2),
         note="at the first interaction at the latest; not delayed by the Omnibus; fine up to EUR 15 m or 3 %"),
    _row("US-CA", _AI, AiDisclosure.IN_SOME_CASES, "B&P 17941 (SB 1001)", MEDIUM, "statute",
         note="a bot may not mislead in order to sell or to influence a vote; disclosure cures"),
    _row("US-UT", _AI, AiDisclosure.IN_SOME_CASES, "13-75-103, 13-75-104 (SB 226)", HIGH, "everyailaw",
         since=date(2025, 5, 7),
         note="on clear request; regulated occupations and high risk: spoken at the start; ch. 72 ends on 1 July 2027"),
    _row("US-ME", _AI, AiDisclosure.REQUIRED, "10 MRS 1500-DD (LD 1727)", HIGH, "plainstamp; jdsupra",
         since=date(2025, 9, 23), note="text or aural; the sources differ by a day, the earlier one is taken"),
    _row("US-CO", _AI, AiDisclosure.REQUIRED, "SB 24-205 s. 6-1-1704, replaced by SB 26-189", LOW, "trackers disagree",
         note="SB 26-189 signed 14 May 2026, effective 1 January 2027, consequential decisions; treated as required"),
    _row("US-TX", _AI, AiDisclosure.IN_SOME_CASES, "HB 149 (TRAIGA)", HIGH, "plainstamp; healthlawadvisor",
         since=date(2026, 1, 1), note="government and health-care providers"),
    _row("US-NJ", _AI, AiDisclosure.IN_SOME_CASES, "N.J.S.A. 56:18-1", LOW, "statute",
         note="bots in online commerce; whether it covers the telephone is not clear"),
    _row("US-NY", _AI, AiDisclosure.NONE_FOUND, "none found", LOW, "search without result"),
)  # fmt: skip

_OTHER_AI_DUTIES = (
    _row("EU", Rule.AUDIO_MARKING, True, "Regulation (EU) 2024/1689, Art. 50(2)", MEDIUM, "dilr; groundy",
         since=date(2026, 8, 2),
         note="machine-readable, as far as feasible; systems on the market before have until 2 December 2026"),
    _row("EU", Rule.EMOTION_NOTICE, True, "Regulation (EU) 2024/1689, Art. 50(3)", HIGH, "betterregulation text",
         since=date(2026, 8, 2), note="emotion recognition and biometric categorisation; the product has neither"),
    _row("ES", Rule.HUMAN_ON_REQUEST, True, "Ley 10/2025 of 26 December", HIGH, "santiagomediano; legaltoday",
         since=date(2025, 12, 28),
         note="large firms and basic services, 95 % answered within 3 minutes; to be met by 28 December 2026"),
    _row("US-CA", Rule.OUTBOUND_NATURAL_VOICE, True, "PUC 2874 (AB 2905)", HIGH, "statute text, self-law.org",
         since=date(2025, 1, 1), note="a natural voice, unrecorded, announces that an artificial one follows"),
    _row("US", Rule.OUTBOUND_CONSENT, True, "FCC 24-17", HIGH, "consumerfinancialserviceslawmonitor",
         since=date(2024, 2, 8), note="an AI voice is an artificial voice; the fate of the 2024 proposal is not known"),
)  # fmt: skip

_REC = Rule.RECORDING_CONSENT
_ONE = RecordingConsent.ONE_PARTY
_INFORM = RecordingConsent.INFORM
_EXPLICIT = RecordingConsent.ALL_EXPLICIT
_LISTS = "freedomrankings; metaverse.law; recordphonecall"
_RECORDING_US = (
    _row("US", _REC, _ONE, "18 USC 2511(2)(d)", HIGH, "statute", note="federal floor; states ask for more"),
    _row("US-CA", _REC, RecordingConsent.ALL_BY_NOTICE, "Penal Code 631, 632, 632.7, 637.2", HIGH, _LISTS,
         note="also any cellular call; at least $5,000 a violation"),
    _row("US-CT", _REC, RecordingConsent.ALL_BY_RECORDED_NOTICE, "CGS 52-570d", HIGH, _LISTS,
         note="civil: consent of all, or a spoken notice at the start of the recording, or a tone"),
    _row("US-WA", _REC, RecordingConsent.ALL_BY_RECORDED_NOTICE, "RCW 9.73.030", HIGH, _LISTS,
         note="an announcement suffices if it is recorded too"),
    _row("US-DE", _REC, _EXPLICIT, "11 Del. C. 1335, 2402", MEDIUM, _LISTS, note="the two conflict; treated as all"),
    _row("US-FL", _REC, _EXPLICIT, "Fla. Stat. 934.03", HIGH, _LISTS),
    _row("US-IL", _REC, _EXPLICIT, "720 ILCS 5/14", HIGH, _LISTS),
    _row("US-MD", _REC, _EXPLICIT, "CJP 10-402", HIGH, _LISTS),
    _row("US-MA", _REC, _EXPLICIT, "M.G.L. c. 272 section 99", HIGH, _LISTS),
    _row("US-MT", _REC, _EXPLICIT, "MCA 45-8-213", HIGH, _LISTS),
    _row("US-NH", _REC, _EXPLICIT, "RSA 570-A:2", HIGH, _LISTS),
    _row("US-PA", _REC, _EXPLICIT, "18 Pa.C.S. 5703, 5704", HIGH, _LISTS),
    _row("US-NV", _REC, _EXPLICIT, "NRS 200.620", HIGH, "Lane v. Allstate", note="all for calls by wire"),
    _row("US-MI", _REC, _EXPLICIT, "MCL 750.539c", MEDIUM, _LISTS,
         note="the statute says all, courts let a participant record; treated as all"),
    _row("US-VT", _REC, _EXPLICIT, "no statute", MEDIUM, _LISTS, note="treated as all"),
    _row("US-OR", _REC, _ONE, "ORS 165.540", HIGH, _LISTS, note="on the telephone; in person all"),
    *(
        _row(f"US-{state}", _REC, _ONE, statute, MEDIUM, "recordphonecall.com/resources/one-party-vs-all-party")
        for state, statute in (
            ("AL", "Ala. Code 13A-11-30"), ("AK", "AS 42.20.310"), ("AZ", "ARS 13-3005"), ("AR", "Ark. Code 5-60-120"),
            ("CO", "CRS 18-9-303"), ("DC", "DC Code 23-542"), ("GA", "OCGA 16-11-66"), ("HI", "HRS 803-42"),
            ("ID", "Idaho Code 18-6702"), ("IN", "Ind. Code 35-33.5"), ("IA", "Iowa Code 808B.2"),
            ("KS", "KSA 21-6101"), ("KY", "KRS 526.010"), ("LA", "La. RS 15:1303"), ("ME", "15 MRSA 710"),
            ("MN", "Minn. Stat. 626A.02"), ("MS", "Miss. Code 41-29-531"), ("MO", "Mo. Rev. Stat. 542.402"),
            ("NE", "Neb. Rev. Stat. 86-290"), ("NJ", "NJSA 2A:156A-4"), ("NM", "NMSA 30-12-1"),
            ("NY", "Penal Law 250.05"), ("NC", "NCGS 15A-287"), ("ND", "NDCC 12.1-15-02"), ("OH", "ORC 2933.52"),
            ("OK", "13 Okla. Stat. 176.4"), ("RI", "RIGL 11-35-21"), ("SC", "SC Code 17-30-30"),
            ("SD", "SDCL 23A-35A-20"), ("TN", "TCA 39-13-601"), ("TX", "Penal Code 16.02"), ("UT", "UCA 77-23a-4"),
            ("VA", "Va. Code 19.2-62"), ("WV", "W.Va. Code 62-1D-3"), ("WI", "Wis. Stat. 968.31"),
            ("WY", "Wyo. Stat. 7-3-702"),
        )
    ),
)  # fmt: skip

_RECORDING_ELSEWHERE = (
    _row(UNKNOWN, _REC, _EXPLICIT, "none named", HIGH, _SAFE_EVERYWHERE,
         note="notice, then the question; without a clear yes the call goes on unrecorded"),
    _row("DE", _REC, _EXPLICIT, "StGB 201", HIGH, "statute",
         note="before the recording; up to 3 years of prison; whether a mere live transcript counts is disputed"),
    _row("AT", _REC, _EXPLICIT, "StGB 120(1) and (2)", MEDIUM, "statute",
         note="one's own call may be recorded, but not passed to a third party, which a model vendor is"),
    _row("CH", _REC, _EXPLICIT, "StGB 179ter, 179quinquies", HIGH, "edoeb.admin.ch",
         note="except orders and bookings in mass business, used for nothing else"),
    _row("FR", _REC, RecordingConsent.INFORM_AND_OBJECT, "Code penal 226-1; CNIL", HIGH, "cnil.fr; telnowedge",
         note="no systematic recording without a ground"),
    _row("NL", _REC, _INFORM, "Sr 139a, 139c; AVG", MEDIUM, "statute",
         note="a participant may; a business that records as a rule gives notice first"),
    _row("IT", _REC, _INFORM, "case law of the Cassazione; GDPR", MEDIUM, "case law"),
    _row("ES", _REC, _INFORM, "STC 114/1984; GDPR", MEDIUM, "case law"),
    _row("FI", _REC, _INFORM, "GDPR", LOW, "not checked further"),
    _row("GB", _REC, _INFORM, "SI 2018/356; IPA 2016 s. 46; UK GDPR", MEDIUM, "statute",
         note="a business for listed purposes, with reasonable efforts to inform"),
    _row("CA", _REC, _ONE, "Criminal Code 184(2)", HIGH, "statute", note="the criminal floor"),
    _row("CA", _REC, RecordingConsent.ALL_BY_NOTICE, "PIPEDA; OPC guidance", HIGH, "OPC",
         note="a business states the purpose at the start; continuing is implied consent"),
    _row("AU", _REC, _EXPLICIT, "TIA Act 1979 and state acts", MEDIUM, "from memory, to be re-read",
         note="knowledge of all by the federal act; with the state acts treated as all"),
    *(
        _row(country, _REC, _EXPLICIT, "not checked", LOW, _SAFE_EVERYWHERE)
        for country in ("BE", "PL", "PT", "SE", "DK", "NO", "IE")
    ),
)  # fmt: skip

_RETENTION = (
    _row(UNKNOWN, Rule.RECORDING_MAX_DAYS, 365, "GDPR Art. 5(1)(e) and like rules", MEDIUM, _SAFE_EVERYWHERE,
         note="no fixed maximum found; a cap by purpose, unless an owner names a legal basis"),
    _row("FR", Rule.RECORDING_MAX_DAYS, 183, "CNIL", HIGH, "cnil.fr; telnowedge", note="six months"),
    _row("FR", Rule.ANALYSIS_MAX_DAYS, 365, "CNIL", HIGH, "cnil.fr; telnowedge"),
    _row("DE", Rule.CONSENT_PROOF_MIN_YEARS, 5, "UWG 7a", HIGH, "statute",
         note="from the grant and from each use: longer than the recording itself"),
    _row("DE", Rule.VOUCHER_MIN_YEARS, 8, "AO 147; UStG 14b, since BEG IV", HIGH, "akanthus"),
    _row(ANYWHERE, Rule.VOUCHER_MIN_YEARS, 7, "our promise to customers", HIGH, _SAFE_EVERYWHERE),
    _row(ANYWHERE, Rule.CARD_CODE_NEVER_STORED, True, "PCI DSS", HIGH, "PCI DSS",
         note="hence pausing a recording and masking keys"),
)  # fmt: skip

LEGAL_TABLE = _AI_DISCLOSURE + _OTHER_AI_DUTIES + _RECORDING_US + _RECORDING_ELSEWHERE + _RETENTION
"""Every row we have."""
