"""What Gemini Live remembers of a conversation, and what it charges for it.

Every turn is charged with the whole context before it, so both are one table of rows. Handles point
into it: a connection that resumes with one goes on with the rows of that moment.

Source: wire reference 1.6 (handles), 1.8 (usage and prices in USD).
"""

from __future__ import annotations

import itertools
from typing import Final

import msgspec

from voiced.emulators.bill import Bill
from voiced.emulators.gemini_told import ModalityTokenCount, UsageMetadata
from voiced.emulators.gemini_wire import Setup
from voiced.emulators.link import Link

AUDIO_PER_S: Final = 25
"""Tokens of a second of audio, either way."""
IMAGE: Final = 258
"""Tokens of an image or a video frame."""
HANDLE_S: Final = 2 * 3600.0
"""How long a handle works after its session ended, seconds."""
_SEARCH_RESULT: Final = 120
"""Tokens of what one search brings into the prompt."""


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens by modality."""

    text: int = 0
    audio: int = 0
    video: int = 0
    image: int = 0

    @property
    def all(self) -> int:
        """Their sum."""
        return self.text + self.audio + self.video + self.image

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            text=self.text + other.text,
            audio=self.audio + other.audio,
            video=self.video + other.video,
            image=self.image + other.image,
        )

    def details(self) -> list[ModalityTokenCount]:
        """Return them as usageMetadata lists them."""
        return [
            ModalityTokenCount(modality=name.upper(), token_count=getattr(self, name))
            for name in self.__struct_fields__
            if getattr(self, name)
        ]


def tokens_of(text: str) -> int:
    """Return about how many tokens a text is."""
    return -(-len(text) // 4)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the context: a turn, or a result of a function."""

    role: str
    text: str
    tokens: Tokens


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """USD for one million tokens, and for one search."""

    text_in: float
    audio_in: float
    image_in: float
    text_out: float
    audio_out: float
    search: float


_THREE: Final = Price(
    text_in=0.75, audio_in=3.0, image_in=1.0, text_out=4.5, audio_out=12.0, search=0.014
)
_TWO_FIVE: Final = Price(
    text_in=0.5, audio_in=3.0, image_in=3.0, text_out=2.0, audio_out=12.0, search=0.035
)


class Conversation:
    """One conversation, over all connections that hold it.

    Args:
        number: which of the emulator.
        model: name of the model; a conversation keeps it.
    """

    def __init__(self, number: int, model: str) -> None:
        self.number, self.model = number, model
        self.rows: tuple[Row, ...] = ()
        self.lost: frozenset[str] = frozenset()
        """Calls that were open when their connection ended."""
        self.connected_s = 0.0
        """How long its earlier connections lasted."""
        self.saw_video = False
        self.link: Link | None = None
        """The connection that holds it now."""
        self.ended_s = 0.0

    @property
    def tokens(self) -> Tokens:
        """What the context holds."""
        return sum((row.tokens for row in self.rows), Tokens())

    def add(self, role: str, text: str, tokens: Tokens | None = None) -> None:
        """Take a row into the context; without `tokens` it is text."""
        counted = Tokens(text=tokens_of(text)) if tokens is None else tokens
        self.rows += (Row(role=role, text=text, tokens=counted),)

    def compress(self, trigger: int, target: int) -> None:
        """Forget the oldest rows once the context is above `trigger`, down to `target` tokens."""
        if self.tokens.all <= trigger:
            return
        while self.rows and self.tokens.all > target:
            self.rows = self.rows[1:]


class _Handle(msgspec.Struct, frozen=True, kw_only=True):
    conversation: Conversation
    rows: tuple[Row, ...]


class Handles:
    """All handles that the emulator gave out."""

    def __init__(self) -> None:
        self._of: dict[str, _Handle] = {}
        self._serial = itertools.count(1)

    def give(self, conversation: Conversation) -> str:
        """Return a handle for the conversation as it is now; the same one while nothing changed."""
        for text, handle in reversed(self._of.items()):
            if handle.conversation is conversation and handle.rows is conversation.rows:
                return text
        text = f"CihEmulated-{conversation.number:02d}-{next(self._serial):04d}"
        self._of[text] = _Handle(conversation=conversation, rows=conversation.rows)
        return text

    def find(self, text: str, now_s: float) -> Conversation | None:
        """Return what a handle resumes, not yet set back; None = it is unknown or too old."""
        handle = self._of.get(text)
        if handle is None:
            return None
        known = handle.conversation
        return known if known.link is not None or now_s - known.ended_s <= HANDLE_S else None

    def resume(self, text: str) -> Conversation:
        """Set the conversation back to the moment of its handle and return it."""
        handle = self._of[text]
        handle.conversation.rows = handle.rows
        return handle.conversation

    def drop(self) -> None:
        """Forget them all."""
        self._of.clear()


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What one turn of the model used."""

    audio_ms: int = 0
    thoughts: int = 0
    searches: int = 0
    cached: int = 0
    unlabelled: int = 0


def set_up_tokens(setup: Setup) -> int:
    """Return about how many tokens instruction and tools are."""
    parts = (setup.system_instruction and setup.system_instruction.parts) or []
    said = sum(tokens_of(part.text or "") for part in parts)
    return said + tokens_of(msgspec.json.encode(setup.tools or []).decode())


def usage(conversation: Conversation, setup: Setup, spent: Spent) -> UsageMetadata:
    """Return what a turn used, its context among it."""
    prompt = conversation.tokens + Tokens(text=set_up_tokens(setup))
    response = Tokens(audio=-(-spent.audio_ms * AUDIO_PER_S // 1000))
    found = Tokens(text=_SEARCH_RESULT * spent.searches)
    cached = Tokens(text=min(spent.cached, prompt.text))
    all_of_prompt = prompt.all + spent.unlabelled
    return UsageMetadata(
        prompt_token_count=all_of_prompt,
        cached_content_token_count=cached.all,
        response_token_count=response.all,
        tool_use_prompt_token_count=found.all,
        thoughts_token_count=spent.thoughts,
        # Thoughts are left out of the total, as in the frames of the real service.
        total_token_count=all_of_prompt + response.all + found.all,
        prompt_tokens_details=prompt.details(),
        cache_tokens_details=cached.details(),
        response_tokens_details=response.details(),
        tool_use_prompt_tokens_details=found.details(),
    )


def book(bill: Bill, connection: int, model: str, used: UsageMetadata, searches: int) -> None:
    """Put a turn on the bill: unlabelled tokens as text, thoughts as text of the reply."""
    price = _TWO_FIVE if "2.5" in model else _THREE
    of = {one.modality: one.token_count for one in used.prompt_tokens_details}
    unlabelled = used.prompt_token_count - sum(of.values())
    images = of.get("VIDEO", 0) + of.get("IMAGE", 0)
    audio_out = sum(one.token_count for one in used.response_tokens_details)
    per_token = 1e-6
    for what, count, usd in (
        ("text_in", of.get("TEXT", 0) + unlabelled, price.text_in),
        ("audio_in", of.get("AUDIO", 0), price.audio_in),
        ("image_in", images, price.image_in),
        ("tool_use", used.tool_use_prompt_token_count, price.text_in),
        ("thoughts", used.thoughts_token_count, price.text_out),
        ("audio_out", audio_out, price.audio_out),
    ):
        bill.add(connection, what, count, "tokens", usd * per_token)
    bill.add(connection, "search", searches, "items", price.search)
