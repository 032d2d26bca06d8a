"""The items of one session, in order."""

import base64
import secrets
from dataclasses import dataclass, field
from typing import Any

from voice.rehearsal.errors import ProtocolError


def new_id(kind: str) -> str:
    """An id as OpenAI's look, such as item_1f0c… (at most 32 characters)."""
    return f"{kind}_{secrets.token_hex(10)}"


@dataclass(eq=False)
class Item:
    """One item. `shown` is what the client sees of it."""

    shown: dict[str, Any]
    audio: bytearray = field(default_factory=bytearray)
    """Its sound, encoded in the format of the side it came from."""
    audio_ms: int = 0

    @property
    def id(self) -> str:
        """The item's id."""
        return str(self.shown["id"])

    @property
    def role(self) -> str | None:
        """user, assistant, system; None for functions."""
        return self.shown.get("role")

    @property
    def text(self) -> str:
        """All its words, written or transcribed."""
        parts = self.shown.get("content", ())
        return " ".join(filter(None, (part.get("text") or part.get("transcript") for part in parts)))


class Conversation:
    """The default conversation of a session."""

    def __init__(self) -> None:
        self.id = new_id("conv")
        self.items: list[Item] = []

    def find(self, item_id: str) -> Item | None:
        """The item of this id."""
        return next((item for item in self.items if item.id == item_id), None)

    @property
    def last_id(self) -> str | None:
        """Id of the newest item."""
        return self.items[-1].id if self.items else None

    def before(self, item: Item) -> str | None:
        """Id of the item before this one; None when it is the first, or gone."""
        at = self.items.index(item) if item in self.items else 0
        return self.items[at - 1].id if at else None

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Insert the item, at the end or after the one named, and return the id of the item before it."""
        if self.find(item.id) is not None:
            message = f"Error adding item: an item with id '{item.id}' already exists in the conversation."
            raise ProtocolError("item_create_duplicate_item_id", message, "item.id")
        if after is None:
            previous = self.last_id
            self.items.append(item)
            return previous
        if after == "root":
            self.items.insert(0, item)
            return None
        before = self.find(after)
        if before is None:
            message = f"Error adding item: the previous item with id '{after}' does not exist."
            raise ProtocolError("item_create_invalid_previous_item_id", message, "previous_item_id")
        self.items.insert(self.items.index(before) + 1, item)
        return after

    def create(self, raw: dict[str, Any], after: str | None) -> tuple[Item, str | None]:
        """Add a client's valid item; returns it and the id of the one before."""
        shown = {"object": "realtime.item", "status": "completed", **raw}
        shown["id"] = raw.get("id") or new_id("item")
        item = Item(shown)
        if raw["type"] == "function_call":
            shown["call_id"] = raw.get("call_id") or new_id("call")
        if raw["type"] == "function_call_output" and not any(
            known.shown["type"] == "function_call" and known.shown["call_id"] == raw["call_id"] for known in self.items
        ):
            message = f"Tool call ID '{raw['call_id']}' not found in conversation."
            raise ProtocolError("invalid_tool_call_id", message, "item.call_id")
        shown["content"] = [self._part(part, item) for part in raw.get("content", ())]
        if raw["type"] != "message":
            del shown["content"]
        return item, self.add(item, after)

    @staticmethod
    def _part(part: dict[str, Any], item: Item) -> dict[str, Any]:
        """A content part as it is shown: its sound is kept apart and given back by conversation.item.retrieve."""
        if part["type"] != "input_audio":
            return part
        item.audio += decode_base64(part["audio"], "item.content[0].audio")
        return {"type": "input_audio", "transcript": part.get("transcript")}

    def retrieve(self, item_id: str) -> dict[str, Any]:
        """The whole item, its sound included."""
        item = self.find(item_id)
        if item is None:
            message = f"Error retrieving item: the item with id '{item_id}' does not exist."
            raise ProtocolError("item_retrieve_invalid_item_id", message, "item_id")
        if not item.audio:
            return item.shown
        sound = base64.b64encode(item.audio).decode("ascii")
        parts = [
            {**part, "audio": sound} if part["type"] in {"input_audio", "output_audio"} else part
            for part in item.shown["content"]
        ]
        return {**item.shown, "content": parts}

    def delete(self, item_id: str) -> None:
        """Take the item out."""
        item = self.find(item_id)
        if item is None:
            message = f"Error deleting item: the item with id '{item_id}' does not exist."
            raise ProtocolError("item_delete_invalid_item_id", message, "item_id")
        self.items.remove(item)

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int, bytes_per_ms: int) -> None:
        """Keep so much of an answer's sound as the caller heard.

        The whole transcript goes, as with OpenAI, so that the model never counts on words that nobody heard.
        """
        item = self.find(item_id)
        if item is None:
            message = f"Error truncating item: the item with id '{item_id}' does not exist."
            raise ProtocolError("item_truncate_invalid_item_id", message, "item_id")
        parts = item.shown.get("content", [])
        if item.role != "assistant" or not item.audio_ms or content_index >= len(parts):
            message = "Only model output audio messages can be truncated"
            raise ProtocolError("unsupported_content_type", message, "content_index")
        if audio_end_ms > item.audio_ms:
            message = f"Audio content of {item.audio_ms}ms is already shorter than {audio_end_ms}ms"
            raise ProtocolError("invalid_value", message, "audio_end_ms")
        item.audio_ms = audio_end_ms
        del item.audio[audio_end_ms * bytes_per_ms :]
        parts[content_index] = {**parts[content_index], "transcript": ""}


def decode_base64(text: str, param: str) -> bytes:
    """The bytes, or a ProtocolError in OpenAI's words."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        message = f"Invalid '{param}'. Expected base64-encoded audio bytes, but got an invalid value."
        raise ProtocolError("invalid_value", message, param) from None
