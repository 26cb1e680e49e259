"""What we say to the service: a struct for every client event, and the encoder."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType


class ClientEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Anything we send; the service names `event_id` in the error that it causes."""

    event_id: str | UnsetType = UNSET


class SessionUpdate(ClientEvent, frozen=True, kw_only=True, tag="session.update"):
    """Change settings: those that are there, null clears."""

    session: dict[str, object]


class AudioAppend(ClientEvent, frozen=True, kw_only=True, tag="input_audio_buffer.append"):
    """Sound of the microphone."""

    audio: bytes
    """Base64 on the wire."""


class AudioCommit(ClientEvent, frozen=True, kw_only=True, tag="input_audio_buffer.commit"):
    """What was appended is the user's turn."""


class AudioClear(ClientEvent, frozen=True, kw_only=True, tag="input_audio_buffer.clear"):
    """Drop what was appended."""


class Content(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """A part of a message."""


class InputText(Content, frozen=True, kw_only=True, tag="input_text"):
    """Words of the user or of the system."""

    text: str


class OutputText(Content, frozen=True, kw_only=True, tag="output_text"):
    """Words of the assistant."""

    text: str


class InputImage(Content, frozen=True, kw_only=True, tag="input_image"):
    """A picture."""

    image_url: str
    """A data URI of a PNG or JPEG."""
    detail: str | UnsetType = UNSET
    """auto, low or high."""


Part: TypeAlias = InputText | OutputText | InputImage
Role: TypeAlias = Literal["user", "assistant", "system"]


class ClientItem(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Something to be put into the conversation."""


class MessageItem(ClientItem, frozen=True, kw_only=True, tag="message"):
    """Words of somebody."""

    id: str | UnsetType = UNSET
    role: Role
    content: list[Part]


class OutputItem(ClientItem, frozen=True, kw_only=True, tag="function_call_output"):
    """The result of a tool call; one a call."""

    id: str | UnsetType = UNSET
    call_id: str
    output: str


class ItemCreate(ClientEvent, frozen=True, kw_only=True, tag="conversation.item.create"):
    """Put an item at the end of the conversation."""

    item: ClientItem


class ItemDelete(ClientEvent, frozen=True, kw_only=True, tag="conversation.item.delete"):
    """Take an item out of the conversation: nothing of it was heard."""

    item_id: str


class ItemTruncate(ClientEvent, frozen=True, kw_only=True, tag="conversation.item.truncate"):
    """Cut an item of the assistant to what was heard."""

    item_id: str
    content_index: int
    audio_end_ms: int


class ResponseParameters(msgspec.Struct, frozen=True, kw_only=True):
    """What one reply is to be, beside the session's settings."""

    instructions: str | UnsetType = UNSET
    """Take the place of the session's."""
    input: list[ClientItem] | UnsetType = UNSET
    """Takes the place of the conversation; [] = without any."""
    tool_choice: str | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET
    """Echoed in response.created and response.done; at most 16 pairs of 64 and 512 characters."""


class ResponseCreate(ClientEvent, frozen=True, kw_only=True, tag="response.create"):
    """Answer."""

    response: ResponseParameters | UnsetType = UNSET


class ResponseCancel(ClientEvent, frozen=True, kw_only=True, tag="response.cancel"):
    """Stop answering."""

    response_id: str | UnsetType = UNSET


_encoder = msgspec.json.Encoder()


def encode(event: ClientEvent) -> bytes:
    """Return the text frame of an event."""
    return _encoder.encode(event)
