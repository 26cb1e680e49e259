"""What keeps keys out of everything that a process says: its log, its output, its sentences.

No code of voiced writes a key anywhere; a drop-in, a library's exception, a service that quotes
what it was sent or somebody who pastes one in the wrong place might. So what leaves a process that
knows keys as text is looked through once more, for these and for what looks like a vendor's.
"""

from __future__ import annotations

import io
import json
import re
from typing import TextIO, TypeVar
from urllib.parse import quote, quote_plus

import msgspec

from voiced.messages.framing import Message

HIDDEN = "[key]"
SHORTEST = 8
"""Characters from which a text is taken for a key: a shorter one would blot out whole words."""

_VENDORS = re.compile(
    r"(?<![A-Za-z0-9_-])(?:sk-[A-Za-z0-9_-]{20,}|AIza[A-Za-z0-9_-]{30,}|xai-[A-Za-z0-9]{20,})"
)
"""Keys of OpenAI, Google and xAI, as each begins; Hume's look like any identifier."""

T = TypeVar("T", bound=Message)


class Secrets:
    """The keys that this process has had, in every form in which a text may show them."""

    def __init__(self) -> None:
        self._forms: list[str] = []

    def add(self, key: str) -> None:
        """Hide a key from now on; it stays hidden when it is replaced."""
        if len(key) < SHORTEST:
            return
        escaped = {json.dumps(key)[1:-1], repr(key)[1:-1]}
        forms = {key, quote(key), quote(key, safe=""), quote_plus(key), *escaped, *self._forms}
        # A form that holds another one goes first, or its rest would stay.
        self._forms = sorted(forms, key=len, reverse=True)

    def hide(self, text: str) -> str:
        """Return `text` without any key."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, HIDDEN)
        return _VENDORS.sub(HIDDEN, text)

    def hide_in(self, message: T) -> T:
        """Return a message whose sentence and code hold no key."""
        told: dict[str, str] = {}
        for name in ("sentence", "code", "detail"):
            text = getattr(message, name, "")
            if isinstance(text, str) and (hidden := self.hide(text)) != text:
                told[name] = hidden
        return msgspec.structs.replace(message, **told) if told else message


class Redacted(io.TextIOBase):
    """A text stream whose lines hold no key: for stdout and stderr, so that no way out is missed.

    A key that is written in pieces is not found.
    """

    def __init__(self, stream: TextIO, secrets: Secrets) -> None:
        self._stream, self._secrets = stream, secrets

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Return the stream's own."""
        return self._stream.encoding

    def writable(self) -> bool:
        """Return that it takes text."""
        return True

    def fileno(self) -> int:
        """Return the stream's own."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Return the stream's own."""
        return self._stream.isatty()

    def write(self, text: str) -> int:
        """Write `text` without any key."""
        self._stream.write(self._secrets.hide(text))
        return len(text)

    def flush(self) -> None:
        """Pass on what waits."""
        self._stream.flush()
