"""The voice as a process: espeak-ng behind a pipe (`python -m voice.rehearsal.mouth_process`)."""

import ctypes
import os
import sys

import espeakng_loader
import numpy as np
import soxr

from voice.rehearsal.helper import serve
from voice.rehearsal.mouth import Sentence

_SYNCHRONOUS = 2
_DO_NOT_EXIT = 0x8000
_UTF8 = 1
_RATE = 1


class Espeak:
    """The C library, through ctypes. One instance a process."""

    def __init__(self) -> None:
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self._samples_per_second = library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DO_NOT_EXIT)
        if self._samples_per_second <= 0:
            raise OSError("espeak-ng cannot read its data")
        self._pieces: list[bytes] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
        self._callback = kind(self._take)  # kept: the library only has its address
        library.espeak_SetSynthCallback(self._callback)
        self._library = library

    def _take(self, samples: int | None, count: int, _events: int | None) -> int:
        if samples and count:
            self._pieces.append(ctypes.string_at(samples, count * 2))
        return 0

    def speak(self, sentence: Sentence) -> bytes:
        """The sentence as s16 at the rate asked for. Raises ValueError for an unknown voice."""
        if self._library.espeak_SetVoiceByName(sentence.voice.encode()) != 0:
            raise ValueError(f"no such voice: {sentence.voice}")
        self._library.espeak_SetParameter(_RATE, sentence.words_per_minute, 0)
        text = sentence.text.replace("\0", " ").encode()
        self._pieces.clear()
        if self._library.espeak_Synth(text, len(text) + 1, 0, 1, 0, _UTF8, None, None) != 0:
            raise ValueError("espeak-ng did not speak")
        spoken = np.frombuffer(b"".join(self._pieces), dtype=np.int16)
        if not len(spoken):
            return b""
        wanted = soxr.resample(spoken.astype(np.float32), self._samples_per_second, sentence.samples_per_second)
        return bytes(np.clip(wanted, -32768, 32767).astype("<i2").tobytes())


def main() -> None:
    """Speak what is asked for until the input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a C library prints must not get between the answers
    serve(Sentence, Espeak().speak, sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
