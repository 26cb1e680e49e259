"""What a script may ask of an emulated OpenAI or xAI beyond what every service does."""

from __future__ import annotations

from typing import Literal

import msgspec

Place = Literal["response", "top", "none"]


class OpenAIOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`options` of a connection with OpenAI."""

    usage: Place = "response"
    """Where response.done carries its usage: in the response, at its own top (as xAI does), or
    nowhere."""
    created: bool = True
    """Whether response.created comes; a race at an interruption can swallow it."""
    created_after_s: float = 0.0
    """How long response.created takes; a response.cancel before it cancels nothing."""


class XAIOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`options` of a connection with xAI."""

    usage: Place = "top"
    """Where response.done carries its usage."""
    created: bool = True
    """Whether response.created comes."""
    old_names: bool = False
    """Whether deltas have the names of the beta: response.audio.delta, response.text.delta ..."""
    twice: bool = False
    """Whether a function call is told twice."""
    session_created: bool = True
    """Whether session.created comes before conversation.created; older services began with that."""


def placed(
    usage: dict[str, object] | None, place: Place, shown: dict[str, object]
) -> dict[str, object]:
    """Return the top-level fields of a response.done whose response is `shown`."""
    match place:
        case "response":
            return {"response": {**shown, "usage": usage}}
        case "top":
            return {"response": {**shown, "usage": {}}, "usage": usage}
        case "none":
            return {"response": {**shown, "usage": None}}
