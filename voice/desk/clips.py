"""Sentences the product itself says, rendered beforehand, so that a call never waits for a voice."""

import asyncio
import contextlib
import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakValueDictionary

import openai
import structlog

from policies.residency import ANYWHERE, Bounds
from voice.desk.outgoing import EgressRefusedError, Outgoing
from voice.desk.settings import ModelEndpoint
from voice.desk.sound import UnusableSoundError, telephone_clip
from voice.desk.tokens import openai_client
from voice.waist.plan import Clip

log = structlog.get_logger()

RENDER_SECONDS = 10.0
RENDERED_AT_ONCE = 8
KEPT_BYTES = 32 << 20
FRESH_SECONDS = 3600.0
RETRY_SECONDS = 60.0
"""How long the better voice is left alone after it failed, and how often what is missing is tried again."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Something to say."""

    text: str
    language: str
    """BCP 47."""
    voice: str = ""
    """The scenario's voice; empty takes the endpoint's own."""
    bounds: Bounds = ANYWHERE
    """Of the project whose words these are."""


class NoVoiceError(Exception):
    """Neither the better voice nor the local one can say the sentence now."""


class Speaker:
    """One speech server, behind the official SDK."""

    def __init__(self, endpoint: ModelEndpoint, outgoing: Outgoing) -> None:
        self._endpoint = endpoint
        self._outgoing = outgoing
        self._client = openai_client(endpoint, outgoing, seconds=RENDER_SECONDS)

    def may_say(self, sentence: Sentence) -> bool:
        """Whether the server may get the project's words."""
        try:
            self._outgoing.check(self._endpoint.base_url, sentence.bounds)
        except EgressRefusedError:
            return False
        return True

    def voice(self, sentence: Sentence) -> str:
        """The name the server knows the voice by."""
        if self._endpoint.speech_voice.endswith(":"):
            return self._endpoint.speech_voice + sentence.language
        return sentence.voice or self._endpoint.speech_voice

    def key(self, sentence: Sentence) -> str:
        """Names the rendered clip; another server, model or voice gives another one."""
        parts = (self._endpoint.speech_model, self.voice(sentence), sentence.language, sentence.text)
        return hashlib.sha256(b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in parts)).hexdigest()

    async def render(self, sentence: Sentence) -> bytes:
        """The sentence in mu-law.

        Raises:
            NoVoiceError: The server is away, refuses, sends no speech, or must not get these words.
        """
        if not self.may_say(sentence):
            raise NoVoiceError("provider_out_of_bounds")
        try:
            async with asyncio.timeout(RENDER_SECONDS):
                with self._outgoing.on_behalf_of(sentence.bounds):
                    response = await self._client.audio.speech.create(
                        model=self._endpoint.speech_model,
                        voice=self.voice(sentence),
                        input=sentence.text,
                        response_format="pcm",
                    )
            return await asyncio.to_thread(telephone_clip, response.content)
        except (openai.OpenAIError, TimeoutError, UnusableSoundError) as error:
            raise NoVoiceError(type(error).__name__) from error

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.close()


class ClipShelf:
    """All clips of this machine: in memory as far as they fit, on disk as `<sha256>.ulaw`, rendered when first needed.

    The better voice speaks where it can; until it does, the local one fills in, so that no caller waits for a vendor.
    """

    def __init__(self, folder: Path, *, better: ModelEndpoint, local: ModelEndpoint, outgoing: Outgoing) -> None:
        self._folder = folder
        self._local = Speaker(local, outgoing)
        self._better = self._local if better == local else Speaker(better, outgoing)
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._wanted: set[Sentence] = set()
        self._better_failed_at: float | None = None
        folder.mkdir(parents=True, exist_ok=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._better.close()
        await self._local.close()

    async def prepare(self, sentences: Iterable[Sentence]) -> None:
        """Render what is missing, in the better voice if it answers; at start and when a wording is saved.

        Raises:
            NoVoiceError: A sentence can be said by no voice.
        """
        turn = asyncio.Semaphore(RENDERED_AT_ONCE)
        sentences = self._now_bound_so(sentences)

        async def one(sentence: Sentence) -> None:
            async with turn:
                if not self._better.may_say(sentence):
                    await self._audio(self._local, sentence)
                elif not await self._has(self._better, sentence):
                    await self._audio(self._local, sentence)
                    self._wanted.add(sentence)

        await asyncio.gather(*(one(sentence) for sentence in sentences))

    def on_shelf(self, sentence: Sentence) -> Clip | None:
        """The clip, if it can be had at once: in the better voice, else in the local one."""
        audio = self._found(self._better.key(sentence))
        if audio is None and self._better is not self._local:
            audio = self._found(self._local.key(sentence))
        if audio is None:
            return None
        return Clip(
            text=sentence.text,
            language=sentence.language,
            wording_sha256=hashlib.sha256(sentence.text.encode()).hexdigest(),
            audio=audio,
        )

    async def fill(self, sentences: Iterable[Sentence]) -> None:
        """Have these on the shelf soon, because a caller is waiting: said by the local voice now, by the better later.

        Raises:
            NoVoiceError: The local voice cannot be reached.
        """
        missing = [sentence for sentence in self._now_bound_so(sentences) if self.on_shelf(sentence) is None]
        await asyncio.gather(*(self._audio(self._local, sentence) for sentence in missing))
        if self._better is not self._local:
            self._wanted.update(sentence for sentence in missing if self._better.may_say(sentence))

    async def keep_only(self, sentences: Iterable[Sentence]) -> int:
        """Drop all other clips, but those of the last hour: a wording may be about to be published. How many files."""
        keys = {speaker.key(sentence) for sentence in set(sentences) for speaker in (self._local, self._better)}
        dropped = await asyncio.to_thread(_drop, self._folder, keys)
        for key in dropped:
            self._kept_bytes -= len(self._kept.pop(key, b""))
        return len(dropped)

    async def run(self) -> None:
        """Replace what only the local voice has said so far, for ever."""
        while True:
            for sentence in tuple(self._wanted):
                if not self._better.may_say(sentence) or await self._has(self._better, sentence):
                    self._wanted.discard(sentence)
            await asyncio.sleep(RETRY_SECONDS if self._wanted else 1.0)

    def _now_bound_so(self, sentences: Iterable[Sentence]) -> set[Sentence]:
        """These, of which nothing that still waits for the better voice goes by bounds of earlier any more."""
        found = set(sentences)
        bounds = {replace(sentence, bounds=ANYWHERE): sentence.bounds for sentence in found}
        for waiting in tuple(self._wanted):
            if bounds.get(replace(waiting, bounds=ANYWHERE), waiting.bounds) != waiting.bounds:
                self._wanted.discard(waiting)
        return found

    async def _has(self, speaker: Speaker, sentence: Sentence) -> bool:
        now = asyncio.get_running_loop().time()
        if self._better_failed_at is not None and now - self._better_failed_at < RETRY_SECONDS:
            return self._found(speaker.key(sentence)) is not None
        try:
            await self._audio(speaker, sentence)
        except NoVoiceError as error:
            self._better_failed_at = now
            log.warning("better_voice_away", error=str(error))
            return False
        return True

    async def _audio(self, speaker: Speaker, sentence: Sentence) -> bytes:
        key = speaker.key(sentence)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:  # a sentence that many calls wait for is rendered once
            audio = self._found(key)
            if audio is None:
                audio = await speaker.render(sentence)
                self._keep(key, audio)
                await asyncio.to_thread(_write, self._folder / f"{key}.ulaw", audio)
        return audio

    def _found(self, key: str) -> bytes | None:
        audio = self._kept.get(key)
        if audio is not None:
            self._kept.move_to_end(key)
            return audio
        audio = _read(self._folder / f"{key}.ulaw")
        if audio is not None:
            self._keep(key, audio)
        return audio

    def _keep(self, key: str, audio: bytes) -> None:
        self._kept_bytes += len(audio) - len(self._kept.pop(key, b""))
        self._kept[key] = audio
        while self._kept_bytes > KEPT_BYTES:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= len(dropped)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes() or None  # empty: the machine lost power between rename and write-back
    except FileNotFoundError:
        return None


def _drop(folder: Path, kept: set[str]) -> list[str]:
    dropped = []
    for path in folder.glob("*.ulaw"):
        with contextlib.suppress(FileNotFoundError):
            if path.stem not in kept and path.stat().st_mtime < time.time() - FRESH_SECONDS:
                path.unlink()
                dropped.append(path.stem)
    return dropped


def _write(path: Path, audio: bytes) -> None:
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        partial.write_bytes(audio)
        partial.replace(path)
    except OSError as error:  # a full disk costs a rendering after the next start, not a call
        log.warning("clip_not_kept", errno=error.errno)
        partial.unlink(missing_ok=True)
