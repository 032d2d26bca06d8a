"""What a client may send: every event with its fields, as strict models.

After the `openai` SDK's types (`openai.types.realtime`). Nothing unknown passes.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from voice.rehearsal.config import (
    BuiltInVoice,
    Format,
    FunctionTool,
    ItemId,
    MaxTokens,
    Modalities,
    Reasoning,
    Session,
    Strict,
    ToolChoice,
    VoiceId,
    check,
)
from voice.rehearsal.errors import ProtocolError


class TextPart(Strict):
    """Text for the model."""

    type: Literal["input_text"]
    text: str


class AudioPart(Strict):
    """Sound for the model, in the session's input format."""

    type: Literal["input_audio"]
    audio: str
    transcript: str | None = None


class ImagePart(Strict):
    """An image for the model; nobody looks at it here."""

    type: Literal["input_image"]
    image_url: str
    detail: Literal["auto", "low", "high"] | None = None


class SpokenPart(Strict):
    """What the assistant is supposed to have said. OpenAI wants text here even in an audio part."""

    type: Literal["output_text", "output_audio"]
    text: str
    audio: str | None = None
    transcript: str | None = None


class ItemReference(Strict):
    """An item of the conversation, by its id, as input of one response."""

    type: Literal["item_reference"]
    id: str


UserPart = Annotated[TextPart | AudioPart | ImagePart, Field(discriminator="type")]


class Item(Strict):
    """What all items share."""

    id: ItemId | None = None
    object: Literal["realtime.item"] | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None


class UserMessage(Item):
    """Said by the caller, or put in their mouth."""

    type: Literal["message"]
    role: Literal["user"]
    content: list[UserPart]


class SystemMessage(Item):
    """Said to the model by its operator."""

    type: Literal["message"]
    role: Literal["system"]
    content: list[TextPart]


class AssistantMessage(Item):
    """Said by the model."""

    type: Literal["message"]
    role: Literal["assistant"]
    content: list[SpokenPart]


class FunctionCall(Item):
    """The model's call of a function."""

    type: Literal["function_call"]
    name: str
    arguments: str
    call_id: str | None = None


class FunctionCallOutput(Item):
    """What the function returned."""

    type: Literal["function_call_output"]
    call_id: str
    output: str


Message = Annotated[UserMessage | SystemMessage | AssistantMessage, Field(discriminator="role")]
AnyItem = Annotated[Message | FunctionCall | FunctionCallOutput, Field(discriminator="type")]


class ResponseOutput(Strict):
    """Sound of one response; its speed is the session's."""

    format: Format | None = None
    voice: BuiltInVoice | VoiceId | None = None


class ResponseAudio(Strict):
    """Sound of one response."""

    output: ResponseOutput | None = None


class Response(Strict):
    """What one response does differently from its session."""

    conversation: Literal["auto", "none"] | None = None
    input: (
        list[Annotated[Message | FunctionCall | FunctionCallOutput | ItemReference, Field(discriminator="type")]] | None
    ) = None
    instructions: str | None = None
    audio: ResponseAudio | None = None
    output_modalities: Modalities | None = None
    max_output_tokens: MaxTokens | None = None
    metadata: Annotated[dict[str, str], Field(max_length=16)] | None = None
    parallel_tool_calls: bool | None = None
    prompt: dict[str, Any] | None = None
    reasoning: Reasoning | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: ToolChoice | None = None


class ClientEvent(Strict):
    """What all client events share."""

    type: str
    event_id: Annotated[str, Field(max_length=512)] | None = None


class SessionUpdate(ClientEvent):
    """session.update."""

    session: Session


class AudioAppend(ClientEvent):
    """input_audio_buffer.append."""

    audio: str


class ItemCreate(ClientEvent):
    """conversation.item.create; `previous_item_id` "root" stands for the very beginning."""

    item: AnyItem
    previous_item_id: str | None = None


class ItemTruncate(ClientEvent):
    """conversation.item.truncate."""

    item_id: str
    content_index: int = Field(ge=0)
    audio_end_ms: int = Field(ge=0)


class ItemNamed(ClientEvent):
    """conversation.item.delete and conversation.item.retrieve."""

    item_id: str


class ResponseCreate(ClientEvent):
    """response.create."""

    response: Response | None = None


class ResponseCancel(ClientEvent):
    """response.cancel."""

    response_id: str | None = None


class ExpiresAfter(Strict):
    """How long a client secret opens sessions."""

    anchor: Literal["created_at"] = "created_at"
    seconds: int = Field(600, ge=10, le=7200)


class ClientSecretRequest(Strict):
    """Body of POST /v1/realtime/client_secrets."""

    expires_after: ExpiresAfter | None = None
    session: Session | None = None


CLIENT_EVENTS: dict[str, type[ClientEvent]] = {
    "session.update": SessionUpdate,
    "input_audio_buffer.append": AudioAppend,
    "input_audio_buffer.commit": ClientEvent,
    "input_audio_buffer.clear": ClientEvent,
    "conversation.item.create": ItemCreate,
    "conversation.item.truncate": ItemTruncate,
    "conversation.item.delete": ItemNamed,
    "conversation.item.retrieve": ItemNamed,
    "response.create": ResponseCreate,
    "response.cancel": ResponseCancel,
}


def check_client_event(raw: object) -> dict[str, Any]:
    """The client event, found valid; else raises ProtocolError. "What is missing" and "what is null" stay distinct."""
    if not isinstance(raw, dict):
        raise ProtocolError("invalid_type", "Invalid type for event: expected an object.")
    kind = raw.get("type")
    if kind is None:
        raise ProtocolError("missing_required_parameter", "Missing required parameter: 'type'.", "type")
    model = CLIENT_EVENTS.get(kind) if isinstance(kind, str) else None
    if model is None:
        supported = ", ".join(f"'{name}'" for name in CLIENT_EVENTS)
        raise ProtocolError("invalid_value", f"Invalid value: '{kind}'. Supported values are: {supported}.", "type")
    check(model, raw)
    return raw
