"""The demo mind: a few sentences and keys, honestly labelled, steered by the scenario as far as rules can be.

What only informs is answered at once; what acts (a booking, a transfer) is asked back first, because the ear sometimes
takes one sentence for another. Keys always work.
"""

import datetime as dt
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from voice.rehearsal.answers import YES_PHRASES, yes_or_no
from voice.rehearsal.conversation import Item
from voice.rehearsal.demo_words import ENGLISH_ONLY, WORDS, Words
from voice.rehearsal.ears import Ears
from voice.rehearsal.facts import Facts, keys_in, sentence_to_say
from voice.rehearsal.mind import CallTool, Request, Say, Step
from voice.rehearsal.offers import Offer, find
from voice.rehearsal.phrases import ENGLISH, INTENT_OF, WEEKDAYS, day_in

_MENU = {"1": "hours", "2": "book", "3": "message", "0": "person", "#": "bye", "9": "repeat"}
_MESSAGE = "The caller left a spoken message. The demo voice cannot write it down; it is in the recording."
_IN_TEXT = {
    "hours": r"\b(hours|open|close)",
    "book": r"\b(book|appointment)",
    "message": r"\bmessage\b",
    "bye": r"\b(bye|goodbye)",
    "person": r"\b(human|person|operator|someone|transfer)\b",
    "yes": r"^(yes|yeah|ok)",
    "no": r"^no\b",
    "who": r"\b(robot|who are you|machine)\b",
}
"""Written words are not limited to the grammar."""


@dataclass
class _Memory:
    """What the demo knows from one response to the next."""

    asked: str = ""
    """The question that is open: "day", "confirm day", "confirm person", "message", or none."""
    day: str = ""
    last_said: str = ""
    called: str = ""
    """What the function that was called last was for."""
    greeted: bool = False


class DemoMind:
    """One call of the demo."""

    def __init__(self, ears: Ears) -> None:
        self._ears = ears
        self._seen: set[str] = set()
        self._memory = _Memory()

    async def transcribe(self, s16: bytes, samples_per_second: int, session: dict[str, Any]) -> str:
        """What the ear made of the turn: a sentence of the grammar, or nothing."""
        language = _language(session)
        vocabulary = ENGLISH if language == "en" else yes_or_no(language)
        return "" if vocabulary is None else await self._ears.hear(s16, samples_per_second, vocabulary)

    async def meanwhile(self) -> AsyncIterator[Step]:
        """Nothing happens unasked."""
        nothing: tuple[Step, ...] = ()
        for step in nothing:
            yield step

    async def respond(self, request: Request) -> AsyncIterator[Step]:
        """Answer what is new in the conversation."""
        news = [item for item in request.items if item.id not in self._seen and item.role != "assistant"]
        self._seen.update(item.id for item in request.items)
        if any(item.role == "user" for item in request.items):  # a conversation that goes on; a disclosure is none
            self._memory.greeted = True
        for step in _Answer(self._memory, request, news).steps():
            if isinstance(step, Say):
                self._memory.last_said = step.text
            yield step


class _Answer:
    """One response of the demo."""

    def __init__(self, memory: _Memory, request: Request, news: list[Item]) -> None:
        self._memory, self._news = memory, news
        self._language = _language(request.session)
        self._words: Words = WORDS[self._language]
        self._tools = [] if request.session["tool_choice"] == "none" else request.tools
        orders = [request.overrides.get("instructions") or "", *(item.text for item in news if item.role == "system")]
        self._order = " ".join(filter(None, orders))
        self._facts = Facts.read(request.session["instructions"] or "")

    def steps(self) -> Iterator[Step]:
        """The whole response."""
        memory = self._memory
        latest = self._news[-1] if self._news else None
        if latest is not None and latest.shown["type"] == "function_call_output":
            yield from self._after_tool(latest)
        elif (sentence := sentence_to_say(self._order)) is not None:
            memory.greeted = True
            yield self._say(sentence)
        elif latest is not None and latest.role == "user":
            memory.greeted = True
            yield from self._answer(latest)
        elif not memory.greeted:
            memory.greeted = True
            yield self._greeting()
        else:
            yield self._say(self._words.anything_else, self._menu())

    # --- saying ------------------------------------------------------------------------------------------------------

    def _say(self, *sentences: str) -> Say:
        return Say(" ".join(filter(None, sentences)), language=self._language)

    def _greeting(self) -> Say:
        business = self._facts.business
        joined = ", this is " if self._language == "en" else ", "
        return self._say(
            self._words.hello.format(f"{joined}{business}" if business else ""), self._words.honest, self._menu()
        )

    def _menu(self) -> str:
        words, parts = self._words, []
        if self._facts.hours:
            parts.append(words.press_hours)
        if self._offer("book") or self._offer("message"):
            parts.append(words.press_book)
        if self._offer("message"):
            parts.append(words.press_message)
        if self._offer("transfer"):
            parts.append(words.press_person)
        if self._offer("hang_up"):
            parts.append(words.press_end)
        return " ".join(parts)

    def _offer(self, purpose: str) -> Offer | None:
        return find(self._tools, purpose)

    # --- understanding -----------------------------------------------------------------------------------------------

    def _answer(self, item: Item) -> Iterator[Step]:
        text = re.sub(r"[^\w' ]", " ", item.text.lower()).strip()
        keys = keys_in(item.text) if not item.audio_ms else None
        asked, self._memory.asked = self._memory.asked, ""
        if keys is not None:
            yield from self._pressed(keys[-1], asked)
        elif asked == "message":
            yield from self._keep_message(item.text if not item.audio_ms else "")
        else:
            yield from self._heard(self._intent(text, written=not item.audio_ms), text, asked)

    def _intent(self, text: str, *, written: bool) -> str:
        if self._language != "en":
            return "" if not text else "yes" if text in YES_PHRASES[self._language] else "no"
        words = " ".join(text.split())
        known = INTENT_OF.get(words) or INTENT_OF.get(words.removesuffix(" please"), "")
        if known or not written:
            return known
        if day_in(text) and "appointment" not in text:
            return "day"
        return next((intent for intent, pattern in _IN_TEXT.items() if re.search(pattern, text)), "")

    def _pressed(self, key: str, asked: str) -> Iterator[Step]:
        if asked == "day" and key in "12345":
            yield from self._confirm_day(WEEKDAYS[int(key) - 1])
        elif asked.startswith("confirm") and key in "12":
            yield from self._heard("yes" if key == "1" else "no", "", asked)
        elif asked == "message" and key == "#":
            yield from self._keep_message("")
        else:
            yield from self._heard(_MENU.get(key, ""), "", "")

    def _heard(self, intent: str, text: str, asked: str) -> Iterator[Step]:
        if asked == "day" and (day := day_in(text)) is not None:
            yield from self._confirm_day(day)
        elif asked.startswith("confirm") and intent in {"yes", "no"}:
            yield from self._confirmed(asked, agreed=intent == "yes")
        elif intent in {"book", "day"}:
            yield from self._book(day_in(text))
        elif intent == "message":
            yield from self._ask_message()
        elif intent == "person":
            yield from self._ask_person()
        elif intent in {"bye", "no"}:
            yield from self._hang_up()
        else:
            yield self._inform(intent)
            self._memory.asked = asked

    def _inform(self, intent: str) -> Say:
        """Answer what only asks for something to be said."""
        if intent == "hours":
            return self._say(self._facts.hours or self._words.no_hours, self._words.anything_else)
        if intent == "repeat" and self._memory.last_said:
            return self._say(self._memory.last_said)
        known = {"where": self._facts.where, "price": self._facts.price}.get(intent)
        if known or intent in ENGLISH_ONLY:
            return self._say(known or ENGLISH_ONLY[intent], self._words.anything_else)
        if intent == "yes":
            return self._say(self._menu())
        return self._say(self._words.not_understood, self._menu())

    # --- acting ------------------------------------------------------------------------------------------------------

    def _book(self, day: str | None) -> Iterator[Step]:
        if self._offer("book") is None and self._offer("message") is None:
            yield self._say(self._words.cannot, self._menu())
        elif day is not None:
            yield from self._confirm_day(day)
        else:
            self._memory.asked = "day"
            yield self._say(self._words.ask_day)

    def _confirm_day(self, day: str) -> Iterator[Step]:
        self._memory.asked, self._memory.day = "confirm day", day
        yield self._say(self._words.confirm_day.format(self._day_name(day)))

    def _day_name(self, day: str) -> str:
        if day in WEEKDAYS[:5]:
            return self._words.day_names[WEEKDAYS.index(day)]
        return day.capitalize() if day in WEEKDAYS else day

    def _ask_person(self) -> Iterator[Step]:
        offer = self._offer("transfer")
        if offer is None:
            yield self._say(self._words.cannot, self._menu())
            return
        self._memory.asked = "confirm person"
        target = (offer.targets or ("",))[0].replace("_", " ").replace("-", " ")
        yield self._say(self._words.confirm_person.format(target))

    def _ask_message(self) -> Iterator[Step]:
        if self._offer("message") is None:
            yield self._say(self._words.cannot, self._menu())
            return
        self._memory.asked = "message"
        yield self._say(self._words.ask_message)

    def _confirmed(self, asked: str, *, agreed: bool) -> Iterator[Step]:
        if not agreed:
            yield self._say(self._menu())
        elif asked == "confirm day":
            yield from self._note_day(self._memory.day)
        elif (offer := self._offer("transfer")) is not None:
            yield self._say(self._words.connecting)
            yield self._call("transfer", offer, {"target": (offer.targets or ("",))[0], "text": "The caller asked."})

    def _note_day(self, day: str) -> Iterator[Step]:
        book = self._offer("book")
        date = _date_of(day).isoformat()
        wish = f"The caller would like an appointment: {self._day_name(day)}, {date}."
        if book is not None:
            yield self._call("book", book, {"day": date, "text": wish})
        elif (message := self._offer("message")) is not None:
            yield self._call("book", message, {"day": date, "text": wish})

    def _keep_message(self, written: str) -> Iterator[Step]:
        offer = self._offer("message")
        if offer is None:
            yield self._say(self._words.cannot, self._menu())
        else:
            yield self._call("message", offer, {"text": written or _MESSAGE})

    def _hang_up(self) -> Iterator[Step]:
        yield self._say(self._words.goodbye)
        if (offer := self._offer("hang_up")) is not None:
            yield self._call("hang_up", offer, {"text": "The caller said goodbye."})

    def _call(self, purpose: str, offer: Offer, known: dict[str, str]) -> CallTool:
        self._memory.called = purpose
        return CallTool(offer.name, offer.arguments(known))

    def _after_tool(self, item: Item) -> Iterator[Step]:
        words, purpose = self._words, self._memory.called
        if not _worked(item.shown["output"]):
            yield self._say(words.failed, self._menu())
        elif purpose == "book":
            yield self._say(words.booked.format(self._day_name(self._memory.day)), words.anything_else)
        elif purpose == "message":
            yield self._say(words.message_kept, words.anything_else)
        elif purpose not in {"hang_up", "transfer"}:
            yield self._say(words.anything_else)


def _language(session: dict[str, Any]) -> str:
    """The call's language: that of its transcription, which is all a session says of it. English when it has none."""
    named = ((session["audio"]["input"]["transcription"] or {}).get("language") or "en").partition("-")[0].lower()
    return named if named in WORDS else "en"


def _worked(output: str) -> bool:
    """Whether a function's output tells of success; an output that says nothing about it does."""
    try:
        told = orjson.loads(output)
    except orjson.JSONDecodeError:
        return "error" not in output.lower()
    return not isinstance(told, dict) or (bool(told.get("ok", True)) and "error" not in told)


def _date_of(day: str) -> dt.date:
    """The next date of that day, by this machine's calendar."""
    today = dt.datetime.now(tz=dt.UTC).astimezone().date()
    if day in {"today", "tomorrow"}:
        return today + dt.timedelta(days=day == "tomorrow")
    return today + dt.timedelta(days=(WEEKDAYS.index(day) - today.weekday() - 1) % 7 + 1)
