"""The local ear: which of a known set of phrases was said. It rejects what it does not know.

Recognition is a grammar over a telephone line, so it only works as well as its phrases are few and unlike each other.
Decoys, phrases that mean nothing here, stand beside the real ones and catch what merely sounds like them.
"""

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import msgspec

from voice.rehearsal.helper import Helper


class Utterance(msgspec.Struct, frozen=True):
    """What the ear's process is asked to understand."""

    vocabulary: str
    """Name of the phrases; the process builds its search once for each name."""
    phrases: tuple[str, ...]
    decoys: tuple[str, ...]
    ending: str
    pronunciations: dict[str, str]
    s16: bytes
    samples_per_second: int
    longest_ms: int


class Understood(msgspec.Struct, frozen=True):
    """What the ear's process made of it."""

    words: str
    score: float
    """Mean acoustic log-likelihood of a frame, against the best of all sounds: 0 is perfect, -7 is a guess."""


@dataclass(frozen=True)
class Vocabulary:
    """Phrases that are listened for, and what each reports."""

    name: str
    meanings: Mapping[str, str | None]
    """Patterns, as `expand` reads them, to what they report; None: the very words."""
    decoys: tuple[str, ...] = ()
    """Patterns that report nothing."""
    ending: str = ""
    """A word that may follow any phrase, such as "please"; it is part of what is reported."""
    pronunciations: Mapping[str, str] = field(default_factory=dict)
    """Words that the English dictionary lacks, in its phones (ARPABET without stress)."""
    least_score: float = -7.0
    """What is heard less clearly (`Understood.score`) is not reported."""
    demanding: frozenset[str] = frozenset()
    """Reports that must be heard more clearly ..."""
    demanded_score: float = -7.0
    """... than this."""
    longest_ms: int = 12_000
    """More speech than this is not one of the phrases."""

    @cached_property
    def phrases(self) -> Mapping[str, str]:
        """Every single phrase to what it reports."""
        return {
            phrase: phrase if meaning is None else meaning
            for pattern, meaning in self.meanings.items()
            for phrase in expand(pattern)
        }

    def report(self, understood: Understood) -> str:
        """What to report; empty unless the words are a whole phrase and were heard clearly enough.

        A search that ran out of sound returns the beginning of a phrase, which means nothing.
        """
        known = self._known(understood.words)
        return (
            known if understood.score >= (self.demanded_score if known in self.demanding else self.least_score) else ""
        )

    def _known(self, words: str) -> str:
        if (known := self.phrases.get(words)) is not None or not self.ending:
            return known or ""
        bare = words.removesuffix(f" {self.ending}")
        return f"{self.phrases[bare]} {self.ending}" if bare != words and bare in self.phrases else ""


class Ears:
    """Listens, in a process of its own, so that a decoder at work never delays a call's sound."""

    def __init__(self) -> None:
        self._helper = Helper("voice.rehearsal.ear_process")
        self._decode = msgspec.msgpack.Decoder(Understood).decode

    @property
    def pid(self) -> int | None:
        """The ear's process."""
        return self._helper.pid

    async def start(self) -> None:
        """Have the ear ready before the first sound."""
        await self._helper.start()

    async def close(self) -> None:
        """End the ear's process."""
        await self._helper.close()

    async def hear(self, s16: bytes, samples_per_second: int, vocabulary: Vocabulary) -> str:
        """The meaning of what was said; empty for silence, noise and unknown words. Raises HelperError."""
        answer = await self._helper.ask(
            Utterance(
                vocabulary=vocabulary.name,
                phrases=tuple(vocabulary.meanings),
                decoys=vocabulary.decoys,
                ending=vocabulary.ending,
                pronunciations=dict(vocabulary.pronunciations),
                s16=s16,
                samples_per_second=samples_per_second,
                longest_ms=vocabulary.longest_ms,
            )
        )
        understood = self._decode(answer)
        return vocabulary.report(understood)


_GROUP = re.compile(r"[\[(]([^\[\]()]*)[\])]")


def expand(pattern: str) -> Iterable[str]:
    """All phrases of a pattern: `[maybe]` may be left out, `(this|that)` is one of both. Brackets may nest."""
    innermost = _GROUP.search(pattern)
    if innermost is None:
        yield " ".join(pattern.split())
        return
    choices = innermost[1].split("|")
    if innermost[0].startswith("["):
        choices = [*choices, ""]
    rest = (pattern[: innermost.start()], pattern[innermost.end() :])
    yield from dict.fromkeys(itertools.chain.from_iterable(expand(f"{rest[0]} {one} {rest[1]}") for one in choices))
