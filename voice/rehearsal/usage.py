"""Token counts of a response, by OpenAI's published rules of thumb.

A token is about 4 characters of text, 100 ms of the caller's sound or 50 ms of the model's.
"""

from collections.abc import Iterable
from typing import Any

from voice.rehearsal.conversation import Item

CALLER_MS_PER_TOKEN = 100
MODEL_MS_PER_TOKEN = 50
_CACHE_BLOCK_TOKENS = 64


class UsageCounter:
    """Counts one session's responses; what an earlier response has already read counts as cached."""

    def __init__(self) -> None:
        self._read_text = 0
        self._read_audio = 0

    def count(self, instructions: str, before: Iterable[Item], output: Iterable[Item]) -> dict[str, Any]:
        """The `usage` member of response.done."""
        text, audio = _text_tokens(instructions), 0
        for item in before:
            text += _item_text_tokens(item)
            audio += _audio_tokens(item)
        cached_text = min(text, self._read_text) // _CACHE_BLOCK_TOKENS * _CACHE_BLOCK_TOKENS
        cached_audio = min(audio, self._read_audio) // _CACHE_BLOCK_TOKENS * _CACHE_BLOCK_TOKENS
        self._read_text, self._read_audio = text, audio
        spoken = list(output)
        out_text = sum(map(_item_text_tokens, spoken))
        out_audio = sum(map(_audio_tokens, spoken))
        return {
            "total_tokens": text + audio + out_text + out_audio,
            "input_tokens": text + audio,
            "output_tokens": out_text + out_audio,
            "input_token_details": {
                "text_tokens": text,
                "audio_tokens": audio,
                "image_tokens": 0,
                "cached_tokens": cached_text + cached_audio,
                "cached_tokens_details": {
                    "text_tokens": cached_text,
                    "audio_tokens": cached_audio,
                    "image_tokens": 0,
                },
            },
            "output_token_details": {"text_tokens": out_text, "audio_tokens": out_audio},
        }


def _text_tokens(text: str) -> int:
    return -(-len(text) // 4)


def _item_text_tokens(item: Item) -> int:
    words = (item.text, item.shown.get("arguments", ""), item.shown.get("output", ""))
    # A caller's turn is read as sound; its transcript is not sent to the model.
    return 0 if item.audio_ms and item.role == "user" else _text_tokens("".join(words))


def _audio_tokens(item: Item) -> int:
    return -(-item.audio_ms // (CALLER_MS_PER_TOKEN if item.role == "user" else MODEL_MS_PER_TOKEN))
