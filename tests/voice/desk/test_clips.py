import asyncio
import audioop
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from policies.languages import LANGUAGES
from scripts.operators import ask
from store.blobs import FolderBlobs
from store.engine import Database
from tests.database import Shop
from tests.voice.desk.conftest import connected, local_speech, open_desk, running, settings_in, until
from voice.desk import clips
from voice.desk.clips import ClipShelf, NoVoiceError, Sentence
from voice.desk.outgoing import Outgoing
from voice.desk.settings import ModelEndpoint
from voice.rehearsal.server import RehearsalServer
from voice.waist.messages import ClipsWanted, Done

HELLO = Sentence("Hello, you are speaking with the AI assistant of Harbour Dental.", "en")


@pytest.fixture
def nobody() -> Iterator[ModelEndpoint]:
    """An address where nobody listens, and nobody will."""
    with contextlib.closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        yield local_speech(f"http://127.0.0.1:{unused.getsockname()[1]}/v1")


@pytest.fixture
async def local(rehearsal: RehearsalServer) -> ModelEndpoint:
    """The local voice."""
    return local_speech(rehearsal.url)


@pytest.fixture
async def shelf(folder: Path, local: ModelEndpoint, outgoing: Outgoing) -> AsyncIterator[ClipShelf]:
    """A shelf whose only voice is the local one."""
    async with ClipShelf(folder / "clips", better=local, local=local, outgoing=outgoing) as opened:
        yield opened


def seconds(audio: bytes) -> float:
    return len(audio) / 8000


async def test_every_language_is_rendered_for_the_telephone(shelf: ClipShelf) -> None:
    """Speech at a telephone's loudness that begins within 60 ms, at a plausible pace."""
    sentences = [Sentence("Harbour Dental, 1, 2, 3.", language) for language in LANGUAGES]
    await shelf.prepare(sentences)
    for sentence in sentences:
        clip = shelf.on_shelf(sentence)
        assert clip is not None, sentence.language
        assert clip.language == sentence.language
        assert 1.0 < seconds(clip.audio) < 6.0
        sound = np.frombuffer(audioop.ulaw2lin(clip.audio, 2), dtype="<i2") / 32768.0
        assert int(np.flatnonzero(np.abs(sound) > 0.02)[0]) <= 8 * 80
        assert np.abs(sound).max() < 0.95
        loud = np.sqrt(np.mean(sound[np.abs(sound) > 0.02] ** 2))
        assert -24 < 20 * np.log10(loud) < -12


async def test_sentence_is_rendered_once_and_kept(
    shelf: ClipShelf, folder: Path, nobody: ModelEndpoint, local: ModelEndpoint, outgoing: Outgoing
) -> None:
    """Many who want it at once make one file, and the next start needs no voice."""
    await asyncio.gather(*(shelf.prepare([HELLO]) for _ in range(8)))
    files = list((folder / "clips").iterdir())
    assert [file.suffix for file in files] == [".ulaw"]
    same_but_silent = replace(local, base_url=nobody.base_url)
    async with ClipShelf(folder / "clips", better=same_but_silent, local=same_but_silent, outgoing=outgoing) as later:
        clip = later.on_shelf(HELLO)
        assert clip is not None
        assert clip.audio == files[0].read_bytes()


async def test_other_words_voice_or_language_are_another_clip(shelf: ClipShelf, outgoing: Outgoing) -> None:
    """Nothing that can be heard is left out of a clip's name."""
    speaker = clips.Speaker(replace(local_speech(), speech_voice="marin"), outgoing)
    keys = {
        speaker.key(sentence)
        for sentence in (
            HELLO,
            replace(HELLO, text="Hello."),
            replace(HELLO, language="de"),
            replace(HELLO, voice="cedar"),
        )
    }
    await speaker.close()
    assert len(keys) == 4


async def test_better_voice_away_is_filled_in_and_replaced_later(
    folder: Path, local: ModelEndpoint, monkeypatch: pytest.MonkeyPatch, outgoing: Outgoing
) -> None:
    """The local voice speaks until the better one can; a caller never waits for a vendor."""
    monkeypatch.setattr(clips, "RETRY_SECONDS", 0.05)
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    better = replace(local_speech(f"http://127.0.0.1:{port}/v1"), speech_voice="marin")
    async with ClipShelf(folder / "clips", better=better, local=local, outgoing=outgoing) as shelf:
        await shelf.prepare([HELLO])
        assert shelf.on_shelf(HELLO) is not None
        in_better_voice = folder / "clips" / f"{clips.Speaker(better, outgoing).key(HELLO)}.ulaw"
        assert not in_better_voice.exists()
        working = asyncio.ensure_future(shelf.run())
        try:
            async with RehearsalServer(port=port):
                await until(in_better_voice.exists)
        finally:
            working.cancel()
        replaced = shelf.on_shelf(HELLO)
        assert replaced is not None
        assert replaced.audio == in_better_voice.read_bytes()


async def test_no_voice_at_all(folder: Path, nobody: ModelEndpoint, outgoing: Outgoing) -> None:
    """Without any voice the shelf says so, instead of a silent disclosure."""
    async with ClipShelf(folder / "clips", better=nobody, local=nobody, outgoing=outgoing) as shelf:
        with pytest.raises(NoVoiceError):
            await shelf.prepare([HELLO])
        with pytest.raises(NoVoiceError):
            await shelf.fill([HELLO])
        assert shelf.on_shelf(HELLO) is None


async def test_first_call_after_publishing_finds_its_clips(
    folder: Path, rehearsal: RehearsalServer, database: Database, bakery: Shop
) -> None:
    """A call for a wording nobody has rendered yet gets its plan within the time a caller waits.

    Whoever saves a wording can have the rest rendered, too.
    """
    settings = settings_in(folder, rehearsal.url)
    async with open_desk(settings, database, FolderBlobs(folder / "blobs")) as desk, running(desk):
        async with connected(settings) as worker:
            began = time.monotonic()
            plan = await worker.granted(bakery.called)
            assert time.monotonic() - began < 2
            assert seconds(plan.clips.disclosure.audio) > 1
            before = len(list(settings.clips.glob("*.ulaw")))
            wanted = ClipsWanted(tenant_id=str(bakery.tenant_id))
            assert await ask(settings.run, wanted, Done) == Done(ok=True)
            assert len(list(settings.clips.glob("*.ulaw"))) > before
        assert await ask(settings.run, ClipsWanted(tenant_id="nobody"), Done) == Done(ok=False, why="ValueError")
