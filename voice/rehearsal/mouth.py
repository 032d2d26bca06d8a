"""The local voice: sentences become sound, in a process of their own, and are kept for the next call."""

from collections import OrderedDict

import msgspec

from voice.rehearsal.audio import AudioFormat
from voice.rehearsal.helper import Helper

_WORDS_PER_MINUTE = 155
_KEPT_BYTES = 48 << 20
_ENGLISH_VARIANTS = {
    "alloy": "", "ash": "+m3", "ballad": "+m2", "coral": "+f2", "echo": "+m4",
    "sage": "+f4", "shimmer": "+f1", "verse": "+m1", "marin": "+f3", "cedar": "+m7",
}  # fmt: skip
"""OpenAI's voices, each a variant of espeak-ng's, so that two of them can be told apart."""
_ESPEAK_LANGUAGES = {"en": "en-us", "pt-pt": "pt", "zh": "cmn"}
"""BCP 47 in lower case to espeak-ng, where they differ."""


def espeak_voice(language: str, voice: str | None = None) -> str:
    """The espeak-ng voice for a language and, if given, one of OpenAI's voice names."""
    wanted = language.lower()
    return _ESPEAK_LANGUAGES.get(wanted, wanted) + _ENGLISH_VARIANTS.get(voice or "", "")


class Sentence(msgspec.Struct, frozen=True):
    """What the voice's process is asked to speak, and how."""

    text: str
    voice: str
    """A voice of espeak-ng, such as "de" or "en-us+f3"."""
    words_per_minute: int
    samples_per_second: int


class Mouth:
    """Speaks. Raises HelperError when there is no such voice or the voice's process cannot be had."""

    def __init__(self) -> None:
        self._helper = Helper("voice.rehearsal.mouth_process")
        self._kept: OrderedDict[tuple[str, str, int, str], bytes] = OrderedDict()
        self._kept_bytes = 0

    @property
    def pid(self) -> int | None:
        """The voice's process."""
        return self._helper.pid

    async def start(self) -> None:
        """Have the voice ready before the first sentence."""
        await self._helper.start()

    async def close(self) -> None:
        """End the voice's process."""
        await self._helper.close()

    async def speak(
        self, text: str, audio_format: AudioFormat, *, language: str, voice: str | None = None, speed: float = 1.0
    ) -> bytes:
        """The text as sound in this format."""
        name, rate = espeak_voice(language, voice), round(_WORDS_PER_MINUTE * speed)
        key = (text, name, rate, audio_format.name)
        if (known := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return known
        s16 = await self._helper.ask(Sentence(text, name, rate, audio_format.samples_per_second))
        encoded = audio_format.from_s16(s16)
        self._keep(key, encoded)
        return encoded

    def _keep(self, key: tuple[str, str, int, str], encoded: bytes) -> None:
        self._kept[key] = encoded
        self._kept_bytes += len(encoded)
        while self._kept_bytes > _KEPT_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self._kept_bytes -= len(oldest)
