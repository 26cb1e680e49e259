"""The conversation that a realtime service keeps: items in their order.

Source: the Realtime API's reference, conversation items; xAI's Speech to Speech API has the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec

from voiced.emulators.refusal import Refused

ROOT: Final = "root"
"""`previous_item_id` of an item that is to be the first."""
USER_TOKENS_PER_S: Final = 10
ASSISTANT_TOKENS_PER_S: Final = 20
_IMAGE_TOKENS: Final = {"low": 85, "auto": 765, "high": 765}

Kind = Literal[
    "input_text", "input_audio", "input_image", "output_text", "output_audio", "audio", "text"
]


class Content(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One part of an item's content as the service shows it."""

    type: Kind
    text: str | msgspec.UnsetType = msgspec.UNSET
    transcript: str | None | msgspec.UnsetType = msgspec.UNSET
    audio: None | msgspec.UnsetType = msgspec.UNSET
    image_url: str | msgspec.UnsetType = msgspec.UNSET
    detail: str | msgspec.UnsetType = msgspec.UNSET


class Item(msgspec.Struct, kw_only=True):
    """One item; audio and its length stay inside."""

    id: str
    type: str
    role: str = ""
    status: str = "completed"
    content: list[Content] = []
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    output: str = ""
    audio_ms: int = 0
    """How much audio it holds."""
    truncated: bool = False

    def shown(self) -> dict[str, Any]:
        """Return it as the service sends it."""
        row: dict[str, Any] = {"id": self.id, "object": "realtime.item", "type": self.type}
        row["status"] = self.status
        match self.type:
            case "function_call":
                row |= {"call_id": self.call_id, "name": self.name, "arguments": self.arguments}
            case "function_call_output":
                row |= {"call_id": self.call_id, "output": self.output}
            case _:
                row |= {"role": self.role, "content": msgspec.to_builtins(self.content)}
        return row

    @property
    def words(self) -> str:
        """What it says, as far as that is text."""
        said = [part.text or part.transcript for part in self.content]
        return " ".join(text for text in said if isinstance(text, str) and text)

    def tokens(self) -> Tokens:
        """Return what it takes in the context."""
        if self.type != "message":
            return Tokens(text=text_tokens(self.name + self.arguments + self.output))
        per_s = USER_TOKENS_PER_S if self.role == "user" else ASSISTANT_TOKENS_PER_S
        spoken = self.role == "user" and self.audio_ms
        return Tokens(
            # A user's speech counts as audio; its transcript is made for the client alone.
            text=0 if spoken else text_tokens(self.words),
            audio=-(-self.audio_ms * per_s // 1000),
            image=sum(
                _IMAGE_TOKENS[part.detail if isinstance(part.detail, str) else "auto"]
                for part in self.content
                if part.type == "input_image"
            ),
        )


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of a piece of context, by modality."""

    text: int = 0
    audio: int = 0
    image: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            text=self.text + other.text,
            audio=self.audio + other.audio,
            image=self.image + other.image,
        )

    @property
    def total(self) -> int:
        """The sum."""
        return self.text + self.audio + self.image


def text_tokens(text: str) -> int:
    """Return how many tokens a text is, near enough: four characters each."""
    return -(-len(text) // 4)


class Conversation:
    """The items of one conversation."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._serial = itertools.count(1)
        self.gone: set[str] = set()
        """Ids of items that were there once."""

    def new_id(self, prefix: str = "item") -> str:
        """Return an id that no item has."""
        return f"{prefix}_{next(self._serial):06d}"

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def find(self, item_id: str) -> Item | None:
        """Return the item of this id."""
        return next((item for item in self._items if item.id == item_id), None)

    def before(self, item: Item) -> str | None:
        """Return the id of the item before this one."""
        at = self._items.index(item)
        return self._items[at - 1].id if at else None

    def last(self) -> Item | None:
        """Return the newest item."""
        return self._items[-1] if self._items else None

    def append(self, item: Item) -> None:
        """Put an item of the service's own at the end."""
        self._items.append(item)

    def insert(self, item: Item, previous: str | None) -> None:
        """Put a client's item behind `previous`: None = at the end, "root" = first.

        Raises:
            Refused: the id is taken, or there is no item `previous`.
        """
        if self.find(item.id) is not None:
            raise Refused(
                "Error adding item: an item with the same id already exists in the conversation: "
                f"'{item.id}'.",
                "item_create_duplicate_item_id",
                "item.id",
            )
        if previous is None:
            self._items.append(item)
            return
        if previous == ROOT:
            self._items.insert(0, item)
            return
        behind = self.find(previous)
        if behind is None:
            raise Refused(
                f"Error adding item: the previous item with id '{previous}' does not exist.",
                "item_create_invalid_previous_item_id",
                "previous_item_id",
                violation=previous not in self.gone,
            )
        self._items.insert(self._items.index(behind) + 1, item)

    def delete(self, item_id: str) -> None:
        """Take an item out.

        Raises:
            Refused: there is none.
        """
        self._items.remove(self._found(item_id, "delete", "deleting"))
        self.gone.add(item_id)

    def retrieve(self, item_id: str) -> Item:
        """Return an item.

        Raises:
            Refused: there is none.
        """
        return self._found(item_id, "retrieve", "retrieving")

    def truncate(self, item_id: str, content_index: int, end_ms: int) -> Item:
        """Cut a reply's audio to what was heard; its transcript goes.

        Raises:
            Refused: there is no such audio, or it is already shorter.
        """
        item = self._found(item_id, "truncate", "truncating")
        if item.role != "assistant" or not item.audio_ms:
            raise Refused("Only model output audio messages can be truncated.", param="item_id")
        if content_index >= len(item.content):
            raise Refused(f"Content index {content_index} is out of range.", param="content_index")
        if end_ms > item.audio_ms:
            raise Refused(
                f"Audio content of {item.audio_ms}ms is already shorter than {end_ms}ms",
                param="audio_end_ms",
            )
        item.audio_ms, item.truncated = end_ms, True
        item.content[content_index].transcript = msgspec.UNSET
        return item

    def _found(self, item_id: str, verb: str, doing: str) -> Item:
        item = self.find(item_id)
        if item is None:
            raise Refused(
                f"Error {doing} item: the item with id '{item_id}' does not exist.",
                f"item_{verb}_invalid_item_id",
                "item_id",
                violation=item_id not in self.gone,
            )
        return item

    # Tools

    def calls(self) -> dict[str, Item]:
        """Return every function call, by its call id."""
        return {item.call_id: item for item in self._items if item.type == "function_call"}

    def unanswered(self) -> list[str]:
        """Return the ids of completed calls without their output."""
        answered = {i.call_id for i in self._items if i.type == "function_call_output"}
        return [
            call_id
            for call_id, item in self.calls().items()
            if call_id not in answered and item.status == "completed"
        ]

    def answered(self, call_id: str) -> bool:
        """Whether a call has its output."""
        return any(
            item.type == "function_call_output" and item.call_id == call_id for item in self._items
        )
