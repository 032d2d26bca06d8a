"""The form of a scenario: what a scenario says as fields, and fields as a scenario, with what is wrong beside each."""

import operator
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from policies.languages import LANGUAGES
from store.scenarios import Scenario, lean

OWN_TOOLS: Final[Mapping[str, str]] = {
    "hang_up": "Hang up when the conversation is over",
    "transfer": "Transfer the caller",
    "take_message": "Take a message",
    "send_dtmf": "Send key tones",
}
"""What every call can do by itself."""
LANGUAGE_NAMES: Final[Mapping[str, str]] = {
    "en": "English",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
}
SPARE_TRANSFERS: Final = 2
"""Empty rows for transfer targets under those that there are."""

_TEXTS: Final = ("name", "instructions", "opening")
_OPTIONAL: Final = ("language", "model.voice", "model.name", "consent.disclosure", "consent.question")
_BOXES: Final = ("consent.disclose_ai", "consent.always_ask", "recording.audio", "recording.transcript")
_CHOICES: Final = ("consent.on_refusal", "fallback.action")
_FIGURES: Final = ("model.speed", "limits.max_seconds", "limits.idle_prompt_seconds", "consent.answer_seconds")
_TRANSFER_PARTS: Final = ("id", "label", "uri")
_FORMS: Final[Mapping[str, str]] = {
    "uri": "Write an address such as tel:+493012345678 or sip:desk@example.com.",
    "id": "Small letters, digits, - and _ only.",
    "language": "Write a language tag such as en or de-AT.",
}
_PLACE: Final = re.compile(r" - at `\$\.?(.*)`\Z")
_INDEX: Final = re.compile(r"\[(\d+)\]")
_NAMED: Final = re.compile(r"([a-z]+\.[a-z_]+)")

Fields = Mapping[str, str]


class FormWrongError(Exception):
    """What was typed is no scenario: by field, what is wrong with it."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__()
        self.errors = errors


def fields_of(content: Scenario) -> dict[str, Any]:
    """A scenario as the values of its form: texts, and for boxes whether they are ticked."""
    values: dict[str, Any] = {"tools": content.tools, "transfers": len(content.transfers) + SPARE_TRANSFERS}
    for name in (*_TEXTS, *_OPTIONAL, *_BOXES, *_CHOICES, "fallback.target_id"):
        value = operator.attrgetter(name)(content)
        values[name] = "" if value is None else value
    values |= {name: f"{operator.attrgetter(name)(content):g}" for name in _FIGURES}
    for number, target in enumerate(content.transfers):
        values |= {f"transfers.{number}.{part}": getattr(target, part) for part in _TRANSFER_PARTS}
    values["other_tools"] = ", ".join(tool for tool in content.tools if tool not in OWN_TOOLS)
    return values


def typed(fields: Fields, tools: Sequence[str]) -> dict[str, Any]:
    """What somebody has typed, as the values of the form, to be shown again."""
    values: dict[str, Any] = {
        name: fields.get(name, "")
        for name in (*_TEXTS, *_OPTIONAL, *_CHOICES, *_FIGURES, "fallback.target_id", "other_tools")
    }
    values |= {name: name in fields for name in _BOXES}
    values |= {name: value for name, value in fields.items() if name.startswith("transfers.")}
    values["transfers"] = _rows(fields)
    values["tools"] = list(tools)
    return values


def content_from(fields: Fields, tools: Sequence[str], before: Scenario) -> Scenario:
    """The scenario that was typed; what the form does not show stays as it was before.

    Raises:
        FormWrongError: It is none.
    """
    whole: dict[str, Any] = lean(before)
    for name in _TEXTS:
        whole[name] = _lines(fields.get(name, ""))
    for name in _OPTIONAL:
        _put(whole, name, _lines(fields.get(name, "")).strip() or None)
    for name in _BOXES:
        _put(whole, name, name in fields)
    for name in _CHOICES:
        _put(whole, name, fields.get(name, ""))
    for name in _FIGURES:
        _put(whole, name, _figure(name, fields.get(name, "")))
    is_transfer = fields.get("fallback.action") == "transfer"
    _put(whole, "fallback.target_id", (fields.get("fallback.target_id") or None) if is_transfer else None)
    others = [tool.strip() for tool in fields.get("other_tools", "").split(",")]
    wanted = dict.fromkeys((*(tool for tool in OWN_TOOLS if tool in tools), *(tool for tool in others if tool)))
    kept = [tool for tool in before.tools if tool in wanted]
    whole["tools"] = [*kept, *(tool for tool in wanted if tool not in kept)]
    whole["transfers"] = [target for _, target in _targets(fields)]
    try:
        return msgspec.convert(whole, Scenario)
    except msgspec.ValidationError as error:
        raise FormWrongError(_error_of(error, [row for row, _ in _targets(fields)])) from None


def languages_for(value: str) -> list[tuple[str, str]]:
    """What can be chosen, with the one that is chosen though we do not speak it."""
    known = [(code, LANGUAGE_NAMES[code]) for code in LANGUAGES]
    other = [] if value in {"", *LANGUAGES} else [(value, value)]
    return [("", "The project's language"), *known, *other]


def _put(whole: dict[str, Any], name: str, value: Any) -> None:
    """Set it, or leave it to its default where it is None."""
    head, _, rest = name.partition(".")
    part: dict[str, Any] = whole.setdefault(head, {}) if rest else whole
    if value is None:
        part.pop(rest or head, None)
    else:
        part[rest or head] = value


def _lines(text: str) -> str:
    """Browsers send CR LF for each line break (HTML, 4.10.21.8)."""
    return text.replace("\r\n", "\n")


def _figure(name: str, text: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        raise FormWrongError({name: "This is no number."}) from None


def _rows(fields: Fields) -> int:
    used = [int(part) for name in fields if name.startswith("transfers.") and (part := name.split(".")[1]).isdigit()]
    return max((number + 1 for number in used if number < 1_000), default=SPARE_TRANSFERS)


def _targets(fields: Fields) -> list[tuple[int, dict[str, str]]]:
    """The rows in which something was typed, with their numbers in the form."""
    rows = (
        (number, {part: fields.get(f"transfers.{number}.{part}", "").strip() for part in _TRANSFER_PARTS})
        for number in range(_rows(fields))
    )
    return [(number, row) for number, row in rows if any(row.values())]


def _error_of(error: msgspec.ValidationError, rows: Sequence[int]) -> dict[str, str]:
    """By the field of the form that is meant, what is wrong with it."""
    text = str(error)
    place = _PLACE.search(text)
    name = place[1] if place else ""
    said = _in_plain_words(name.rpartition(".")[2], f"{text[: place.start()] if place else text}.")
    if name.startswith("transfers[") and (index := _INDEX.search(name)):
        return {f"transfers.{rows[int(index[1])]}.{name.rpartition('.')[2]}": said}
    if name.startswith("tools"):
        return {"other_tools": said}
    if not name and (named := _NAMED.search(said)):
        name = named[1]
    return {name or "name": said}


def _in_plain_words(part: str, said: str) -> str:
    if "length >= 1" in said:
        return "This is missing."
    if "matching regex" in said:
        return _FORMS.get(part, "This holds a character that no text has.")
    return said.replace("`", "").replace("Expected", "It has to be")
