"""The ear as a process: pocketsphinx behind a pipe (`python -m voice.rehearsal.ear_process`)."""

import audioop
import math
import os
import re
import sys

import msgspec
import pocketsphinx

from voice.rehearsal.ears import Understood, Utterance
from voice.rehearsal.helper import serve

_SAMPLES_PER_SECOND = 16000
_WINDOW_MS = 20
_PADDING_MS = 160
_LEAST_SPEECH_MS = 100
_LEAST_RMS = 120
_LOUDEST = 14_000
_SILENCE_WINDOWS = 25
_LEAST_SHARE = 0.75
"""So much of the speech must belong to the words that were understood."""
_BEAMS = {"beam": 1e-36, "wbeam": 1e-22, "pbeam": 1e-36}
"""Narrower than pocketsphinx's own (1e-48): twice as fast, and of 93 sentences 82 understood instead of 84."""
_VARIANT = re.compile(r"\(\d+\)")


def _dither() -> bytes:
    """A second of faint noise. The model was trained on microphones; a line's digital silence confuses it."""
    state, samples = 1, bytearray()
    for _ in range(_SAMPLES_PER_SECOND):
        total = 0
        for _ in range(4):  # the sum of four uniform numbers is nearly normal
            state = (state * 1103515245 + 12345) & 0x7FFFFFFF
            total += (state >> 16) % 53 - 26
        samples += total.to_bytes(2, "little", signed=True)
    return bytes(samples)


class Recogniser:
    """One decoder with a search for each vocabulary."""

    def __init__(self) -> None:
        self._decoder = pocketsphinx.Decoder(samprate=_SAMPLES_PER_SECOND, lm=None, loglevel="FATAL", **_BEAMS)
        self._known: set[str] = set()
        self._dither = _dither()
        self._encode = msgspec.msgpack.Encoder().encode

    def hear(self, utterance: Utterance) -> bytes:
        """An encoded `Understood`; its words are empty where nobody spoke, or spoke too long."""
        speech = trim(utterance.s16, utterance.samples_per_second)
        limit = utterance.longest_ms * utterance.samples_per_second * 2 // 1000
        if not speech or len(speech) > limit or is_tone(speech, utterance.samples_per_second):
            return self._encode(Understood("", -math.inf))
        self._activate(utterance)
        least_frames = _LEAST_SHARE * (len(speech) // 2 * 100 // utterance.samples_per_second - 2 * _PADDING_MS // 10)
        return self._encode(self._decode(self._prepare(speech, utterance.samples_per_second), least_frames))

    def _activate(self, utterance: Utterance) -> None:
        name = utterance.vocabulary
        if name not in self._known:
            for word, phones in utterance.pronunciations.items():
                if self._decoder.lookup_word(word) is None:
                    self._decoder.add_word(word, phones, False)
            self._decoder.add_jsgf_string(name, grammar(utterance))
            self._known.add(name)
        self._decoder.activate_search(name)

    def _prepare(self, speech: bytes, samples_per_second: int) -> bytes:
        """At one loudness, at the model's rate, between two moments of quiet, over faint noise."""
        peak = audioop.max(speech, 2)
        level = audioop.mul(speech, 2, min(8.0, _LOUDEST / max(1, peak)))
        quiet = b"\0\0" * (_SAMPLES_PER_SECOND * _WINDOW_MS // 1000 * _SILENCE_WINDOWS // 2)
        wide, _ = audioop.ratecv(level, 2, 1, samples_per_second, _SAMPLES_PER_SECOND, None)
        sound = quiet + wide + quiet
        noise = self._dither * (len(sound) // len(self._dither) + 1)
        return audioop.add(sound, noise[: len(sound)], 2)

    def _decode(self, sound: bytes, least_frames: float) -> Understood:
        self._decoder.start_utt()
        self._decoder.process_raw(sound, False, True)
        self._decoder.end_utt()
        if self._decoder.hyp() is None:
            return Understood("", -math.inf)
        spoken = [part for part in self._decoder.seg() if part.word[0] not in "<([" and part.word != "SIL"]
        words = " ".join(_VARIANT.sub("", part.word) for part in spoken)
        frames = sum(part.end_frame - part.start_frame + 1 for part in spoken)
        if frames < least_frames:  # most of what was said went by as noise between the words
            return Understood("", -math.inf)
        likelihood = sum(math.log(max(part.ascore, 1e-300)) for part in spoken)
        return Understood(words, likelihood / max(1, frames))


def grammar(utterance: Utterance) -> str:
    """One of the phrases or of the decoys, in the Java Speech Grammar Format."""
    ending = f" [{utterance.ending}]" if utterance.ending else ""
    rules = [f"<phrase> = ({' | '.join(utterance.phrases)}){ending};"]
    if utterance.decoys:
        rules += [f"<decoy> = {' | '.join(utterance.decoys)};", "public <g> = /0.9/ <phrase> | /0.1/ <decoy>;"]
    else:
        rules.append("public <g> = <phrase>;")
    return "\n".join(["#JSGF V1.0;", "grammar g;", *rules, ""])


def is_tone(s16: bytes, samples_per_second: int) -> bool:
    """Whether this is a steady tone, such as a key's: its zero crossings hardly change, a voice's do."""
    size = samples_per_second * 2 * _WINDOW_MS // 1000
    windows = [s16[at : at + size] for at in range(0, len(s16) - size + 1, size)]
    loud = sorted(audioop.cross(one, 2) for one in windows if audioop.rms(one, 2) >= _LEAST_RMS)
    middle = loud[len(loud) // 8 : len(loud) - len(loud) // 8]
    return bool(middle) and middle[-1] - middle[0] <= max(2, middle[len(middle) // 2] // 10)


def trim(s16: bytes, samples_per_second: int) -> bytes:
    """The sound from where somebody begins to speak to where they end; empty when nobody does."""
    size = samples_per_second * 2 * _WINDOW_MS // 1000
    levels = [audioop.rms(s16[at : at + size], 2) for at in range(0, len(s16) - size + 1, size)]
    floor = max(_LEAST_RMS, max(levels, default=0) // 12)
    loud = [at for at, level in enumerate(levels) if level >= floor]
    if len(loud) * _WINDOW_MS < _LEAST_SPEECH_MS:
        return b""
    padding = _PADDING_MS // _WINDOW_MS
    return s16[max(0, loud[0] - padding) * size : (loud[-1] + 1 + padding) * size]


def main() -> None:
    """Understand what is asked for until the input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a C library prints must not get between the answers
    serve(Utterance, Recogniser().hear, sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
