"""Asking the caller for consent: the question, an answer by key or by voice, and once more when it was unclear."""

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

from policies.consent_words import Heard, hear, hear_key, yes_may_be_spoken
from voice.call.clips import ClipPlayer
from voice.call.consent_ear import ConsentEar
from voice.call.line import SAMPLES_PER_SECOND
from voice.waist.plan import Clip, ConsentTerms

STILL_SPEAKING_SECONDS = 5.0
"""Who is speaking when the time is up may finish."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What came out, and how."""

    verdict: Literal["given", "refused", "no_answer"]
    method: Literal["none", "key", "voice"]
    question: Clip


class ConsentQuestion:
    """Asks one caller. Keys count from the question's first word on, a voice only once the question is over.

    So the question's own echo cannot answer it.
    """

    def __init__(self, terms: ConsentTerms, clips: ClipPlayer, ear: ConsentEar) -> None:
        self._terms = terms
        self._clips = clips
        self._ear = ear
        self._keys: asyncio.Queue[Heard] = asyncio.Queue()

    def key_pressed(self, digit: str) -> None:
        """The caller pressed a key."""
        if (meaning := hear_key(digit)) != "unclear":
            self._keys.put_nowait(meaning)

    async def ask(self, question: Clip) -> Decision:
        """Ask, and once more if the answer was unclear and the plan has the words for that."""
        decision = await self._ask_once(question)
        if decision is None and self._terms.retry is not None:
            question = self._terms.retry
            decision = await self._ask_once(question)
        return decision or Decision("no_answer", "none", question)

    async def _ask_once(self, question: Clip) -> Decision | None:
        """The caller's answer; None when it was unclear."""
        key = asyncio.ensure_future(self._keys.get())
        played = self._clips.start(question, interruptible=True)
        try:
            seconds = len(question.audio) / SAMPLES_PER_SECOND
            await _first(key, played, seconds=seconds + STILL_SPEAKING_SECONDS)
            if key.done():
                self._clips.cut()
                return _decided(key.result(), "key", question)
            return await self._listen(question, key)
        finally:
            key.cancel()
            played.cancel()
            self._ear.stop()

    async def _listen(self, question: Clip, key: "asyncio.Future[Heard]") -> Decision | None:
        self._ear.listen()
        words = asyncio.ensure_future(self._ear.next_words())
        try:
            await _first(key, words, seconds=self._terms.answer_seconds)
            if not key.done() and not words.done() and self._ear.in_speech:
                await _first(key, words, seconds=STILL_SPEAKING_SECONDS)
            if key.done():
                return _decided(key.result(), "key", question)
            if not words.done():
                return Decision("no_answer", "none", question)
            meaning = hear(words.result(), question.language)
            if meaning == "unclear" or (meaning == "yes" and not yes_may_be_spoken(question.language)):
                return None
            return _decided(meaning, "voice", question)
        finally:
            words.cancel()


async def _first(*futures: "asyncio.Future[Any]", seconds: float) -> None:
    await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)


def _decided(meaning: Heard, method: Literal["key", "voice"], question: Clip) -> Decision:
    return Decision("given" if meaning == "yes" else "refused", method, question)
