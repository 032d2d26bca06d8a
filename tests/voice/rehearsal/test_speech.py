"""Speech and transcription over HTTP, and the processes behind them."""

import asyncio
import audioop
import io
import os
import random
import re
import signal
import wave
from collections.abc import AsyncIterator

import openai
import pytest
from openai import AsyncOpenAI

from policies.consent_words import SPOKEN_YES, Heard, hear
from policies.languages import LANGUAGES
from tests.voice.rehearsal.realtime_client import telephone
from voice.rehearsal.answers import yes_or_no
from voice.rehearsal.audio import FORMATS
from voice.rehearsal.ears import Ears
from voice.rehearsal.mouth import Mouth
from voice.rehearsal.phrases import ENGLISH
from voice.rehearsal.script import Script
from voice.rehearsal.server import RehearsalServer
from voice.rehearsal.speech import as_wave

ULAW = FORMATS["audio/pcmu"]


@pytest.fixture
async def mouth() -> AsyncIterator[Mouth]:
    speaking = Mouth()
    yield speaking
    await speaking.close()


@pytest.fixture
async def ears() -> AsyncIterator[Ears]:
    listening = Ears()
    yield listening
    await listening.close()


async def spoken(mouth: Mouth, text: str, language: str = "en", voice: str | None = None) -> bytes:
    """The text as it comes out of a telephone: s16 at 8 kHz, with silence around it."""
    s16 = ULAW.to_s16(await mouth.speak(text, ULAW, language=language, voice=voice))
    return bytes(3200) + ULAW.to_s16(telephone(s16)) + bytes(3200)


async def test_the_official_sdk_has_sentences_spoken_and_heard() -> None:
    """A sentence rendered as WAV and heard by the yes-no ear comes back as its word, in its language."""
    async with (
        RehearsalServer(script=Script()) as server,
        AsyncOpenAI(base_url=server.url, api_key="rehearsal", max_retries=0) as client,
    ):
        for language, word in (("en", "yes"), ("en", "no"), ("de", "ja"), ("fr", "oui"), ("nl", "ja")):
            speech = await client.audio.speech.create(
                model="gpt-4o-mini-tts", voice=f"espeak:{language}", input=word, response_format="wav"
            )
            with wave.open(io.BytesIO(speech.content)) as reader:
                assert (reader.getframerate(), reader.getnchannels(), reader.getsampwidth()) == (24000, 1, 2)
            heard = await client.audio.transcriptions.create(
                model="yes-no", language=language, file=("answer.wav", speech.content)
            )
            assert heard.text == word
        pcm = await client.audio.speech.create(model="tts-1", voice="alloy", input="Hi.", response_format="pcm")
        assert audioop.rms(pcm.content, 2) > 300
        heard = await client.audio.transcriptions.create(model="yes-no", language="en", file=("a.pcm", bytes(48000)))
        assert not heard.text


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"voice": "bob"}, "voice"),
        ({"voice": "espeak:xx-nowhere"}, "voice"),
        ({"response_format": "mp3"}, "response_format"),
        ({"response_format": "midi"}, "response_format"),
        ({"input": ""}, "input"),
        ({"model": "gpt-realtime"}, "model"),
        ({"speed": 9.0}, "speed"),
    ],
)
async def test_wrong_wishes_for_speech(changes: dict[str, str], param: str) -> None:
    """What cannot be spoken is refused and named."""
    wishes = {"model": "tts-1", "voice": "alloy", "input": "Hello.", "response_format": "pcm"} | changes
    async with (
        RehearsalServer(script=Script()) as server,
        AsyncOpenAI(base_url=server.url, api_key="rehearsal", max_retries=0) as client,
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            await client.post("/audio/speech", cast_to=object, body=wishes)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("fields", "file", "code"),
    [
        ({"model": "yes-no"}, None, "missing_required_parameter"),
        ({"model": "yes-no"}, b"RIFF", "invalid_value"),
        ({"model": "yes-no", "language": "tlh"}, as_wave(bytes(800), 8000), "invalid_value"),
        ({"model": "whisper-1"}, as_wave(bytes(800), 8000), "model_not_found"),
        ({}, as_wave(bytes(800), 8000), "missing_required_parameter"),
        ({"model": "yes-no", "response_format": "srt"}, as_wave(bytes(800), 8000), "invalid_value"),
    ],
)
async def test_wrong_wishes_for_transcription(fields: dict[str, str], file: bytes | None, code: str) -> None:
    """What cannot be heard is refused and named."""
    files = None if file is None else {"file": ("answer.wav", file, "audio/wav")}
    async with (
        RehearsalServer(script=Script()) as server,
        AsyncOpenAI(base_url=server.url, api_key="rehearsal", max_retries=0) as client,
    ):
        headers = {"Content-Type": "multipart/form-data"}
        body = {**fields, "unused": ""}
        with pytest.raises(openai.BadRequestError) as refused:
            await client.post(
                "/audio/transcriptions",
                cast_to=object,
                body=body,
                files=files or {"x": b""},
                options={"headers": headers},
            )
    assert refused.value.code == code


async def test_silence_noise_and_tones_are_no_answer(ears: Ears) -> None:
    """The consent ear answers nothing to what is not speech, in any language."""
    rng = random.Random(7)
    hiss = b"".join(rng.randint(-6000, 6000).to_bytes(2, "little", signed=True) for _ in range(8000))
    tone = b"".join((9000 if at // 6 % 2 else -9000).to_bytes(2, "little", signed=True) for at in range(8000))
    for language in ("en", "de", "es"):
        vocabulary = yes_or_no(language)
        assert vocabulary is not None
        for sound in (b"", bytes(16000), hiss, tone, hiss[:1200]):
            assert not await ears.hear(bytes(1600) + sound + bytes(1600), 8000, vocabulary)


YES_NO = {
    "en": ("Yes.", "No."),
    "de": ("Ja.", "Nein."),
    "fr": ("Oui.", "Non."),
    "es": ("Sí.", "No."),
    "it": ("Sì.", "No."),
    "nl": ("Ja.", "Nee."),
    "pl": ("Tak.", "Nie."),
    "pt": ("Sim.", "Não."),
}
OTHER_WORDS = {
    "en": "What did you say? Who is this? Hello? Maybe. Can you call me back tomorrow? One moment.",
    "de": "Was haben Sie gesagt? Wer ist da? Hallo? Vielleicht. Können Sie mich morgen zurückrufen? Einen Moment.",
    "fr": "Qu'avez-vous dit? Qui est là? Allô? Peut-être. Pouvez-vous me rappeler demain? Un instant.",
    "es": "¿Qué ha dicho? ¿Quién es? ¿Hola? Quizás. ¿Puede llamarme mañana? Un momento.",
    "it": "Che cosa ha detto? Chi è? Pronto? Forse. Può richiamarmi domani? Un momento.",
    "nl": "Wat zei u? Wie is dit? Hallo? Misschien. Kunt u mij morgen terugbellen? Een moment.",
    "pl": "Co pan powiedział? Kto mówi? Halo? Może. Czy może pan zadzwonić jutro? Chwileczkę.",
    "pt": "O que disse? Quem fala? Alô? Talvez. Pode ligar-me amanhã? Um momento.",
}
VOICES = ("alloy", "coral", "ash")
"""A low one, a high one, and one between."""


async def understood(mouth: Mouth, ears: Ears, sentence: str, language: str, voice: str) -> Heard:
    """What a caller with this voice is taken to have answered."""
    vocabulary = yes_or_no(language)
    assert vocabulary is not None
    return hear(await ears.hear(await spoken(mouth, sentence, language, voice), 8000, vocabulary), language)


@pytest.mark.parametrize("language", sorted(SPOKEN_YES))
async def test_a_spoken_yes_is_heard(mouth: Mouth, ears: Ears, language: str) -> None:
    """Where a yes may be spoken a plain voice is understood at once; from another it may be unclear, and never a no."""
    yes, _ = YES_NO[language]
    answers = [await understood(mouth, ears, yes, language, voice) for voice in VOICES]
    assert answers[0] == "yes"
    assert "no" not in answers


@pytest.mark.parametrize("sentence", ["Yes.", "Yes, I agree.", "No.", "No, thank you.", "No, I do not."])
async def test_it_does_not_matter_when_a_word_begins(mouth: Mouth, ears: Ears, sentence: str) -> None:
    """A caller's word begins anywhere within a frame of the line, and pauses behind a yes or a no of its own."""
    vocabulary = yes_or_no("en")
    assert vocabulary is not None
    sound = await spoken(mouth, sentence)
    heard = [hear(await ears.hear(bytes(2 * late) + sound, 8000, vocabulary), "en") for late in range(0, 160, 16)]
    assert heard.count("yes" if sentence.startswith("Yes") else "no") >= 9, heard


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "Yes, but who is this?"),
        ("en", "Yes, wait."),
        ("en", "Yes, what did you say?"),
        ("en", "Not yet."),
        ("de", "Ja, aber wer ist da?"),
        ("de", "Ja, Moment."),
        ("de", "Ja, vielleicht."),
        ("fr", "Oui, mais qui est là?"),
        ("nl", "Ja, maar wie is dit?"),
    ],
)
async def test_a_yes_with_a_doubt_is_no_consent(mouth: Mouth, ears: Ears, language: str, sentence: str) -> None:
    """Whoever begins with a yes and goes on with something else is asked again, not recorded."""
    assert [await understood(mouth, ears, sentence, language, voice) for voice in VOICES].count("yes") == 0


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_spoken_no_is_never_a_yes(mouth: Mouth, ears: Ears, language: str) -> None:
    """In every language a no is heard from some voice, and from none taken for a yes."""
    _, no = YES_NO[language]
    answers = {await understood(mouth, ears, no, language, voice) for voice in VOICES}
    assert "no" in answers
    assert "yes" not in answers


@pytest.mark.parametrize("language", LANGUAGES)
async def test_other_words_are_no_consent(mouth: Mouth, ears: Ears, language: str) -> None:
    """Sentences that hold neither yes nor no are not taken for a yes, in any language."""
    for sentence in re.findall(r"[^.?]+[.?]", OTHER_WORDS[language]):
        for voice in VOICES:
            assert await understood(mouth, ears, sentence, language, voice) != "yes", (sentence, voice)


async def test_the_demo_understands_telephone_speech(mouth: Mouth, ears: Ears) -> None:
    """Of spoken sentences of the grammar, at least three in four are understood word for word."""
    sentences = (
        "what are your opening hours",
        "i would like to make an appointment",
        "can i leave a message",
        "i want to speak to a human",
        "yes please",
        "no thank you",
        "goodbye",
        "on friday please",
    )
    heard = [await ears.hear(await spoken(mouth, sentence), 8000, ENGLISH) for sentence in sentences]
    understood = sum(one == sentence for one, sentence in zip(heard, sentences, strict=True))
    assert understood >= 6, heard


async def test_a_killed_voice_and_a_killed_ear_come_back(mouth: Mouth, ears: Ears) -> None:
    """Killed while it is asked, a helper is started again and answers; nobody notices but the log."""
    vocabulary = yes_or_no("en")
    assert vocabulary is not None
    before = await spoken(mouth, "yes")
    await ears.hear(before, 8000, vocabulary)
    for helper in (mouth, ears):
        old = helper.pid
        assert old is not None
        os.kill(old, signal.SIGSTOP)  # so that the request is surely under way when it dies
        asking = (
            mouth.speak("A new sentence.", ULAW, language="en")
            if helper is mouth
            else ears.hear(before, 8000, vocabulary)
        )
        async with asyncio.TaskGroup() as group:
            answer = group.create_task(asking)
            await asyncio.sleep(0.05)
            os.kill(old, signal.SIGKILL)
        assert answer.result()
        assert helper.pid not in {None, old}


async def test_the_loop_never_waits_for_the_ear(mouth: Mouth, ears: Ears) -> None:
    """While the ear is at work, the loop's own beat goes on: it beats many times during one hearing."""
    vocabulary = yes_or_no("en")
    assert vocabulary is not None
    sound = await spoken(mouth, "no thank you")
    await ears.hear(sound, 8000, vocabulary)
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0.001)

    async with asyncio.TaskGroup() as group:
        beating = group.create_task(beat())
        await ears.hear(sound, 8000, vocabulary)
        beating.cancel()
    assert beats >= 5
