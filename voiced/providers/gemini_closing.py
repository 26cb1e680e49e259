"""What it means that Gemini closed a connection, and what is tried next.

Source: the wire reference 1.6, 1.7 and its table of close codes. Before the session is open a
refusal may be of the handle or of the wish for one: then one step down the ladder is tried,

    handle -> the handle once more (1011 alone) -> a new session -> a new one without handles

and only what is refused there is told.
"""

from __future__ import annotations

import msgspec

from voiced.errors import ProviderError, ProviderRefused, ProviderUnavailable
from voiced.providers.dial import Service

SERVICE = Service("Gemini", "gemini")
INVALID, POLICY, TOO_BIG, INTERNAL = 1007, 1008, 1009, 1011
NORMAL, BROKEN = 1000, 1006


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One way to open a session."""

    handle: str = ""
    """"" = a new conversation."""
    resumption: bool = True
    """Ask for handles."""
    again: bool = False
    """This handle was refused once, because the connection before it seemed to be open still."""


def next_attempt(attempt: Attempt, code: int, reason: str) -> Attempt | None:
    """Return what to try after `attempt` was closed before it opened; None = nothing is left."""
    if _names_model(reason) or _names_key(reason):
        return None
    fresh = Attempt(resumption=attempt.resumption)
    if attempt.handle:
        if code in (INVALID, POLICY):
            return fresh
        if code == INTERNAL:
            return fresh if attempt.again else msgspec.structs.replace(attempt, again=True)
    elif code == POLICY and attempt.resumption:
        return msgspec.structs.replace(fresh, resumption=False)
    return None


def ending(code: int, reason: str, *, before_open: bool, resumed_after: int = 0) -> ProviderError:
    """Return how a connection ended: for good, or worth another one.

    Args:
        code: close code; 1006 = the link broke.
        reason: the service's own words, cut at 123 bytes.
        before_open: the setup was never answered.
        resumed_after: the close code of which this very connection was the second try; 0 = none.
    """
    if _names_key(reason):
        return ProviderRefused(
            f"Gemini refused the key ({reason}): set it with voiced key set gemini", "invalid_key"
        )
    fatal = code == INVALID or (code == POLICY and (before_open or resumed_after == POLICY))
    word = str(code)
    if fatal or (code == POLICY and _names_model(reason)):
        return ProviderRefused(_remedy(reason, before_open), word)
    if "quota" in reason.lower():
        return ProviderUnavailable(
            f"Gemini's quota is used up ({reason}): it is tried again; look at its limits",
            word,
        )
    return ProviderUnavailable(_passing(code, reason), word)


def _passing(code: int, reason: str) -> str:
    quoted = f" ({reason})" if reason else ""
    if code == BROKEN:
        if "keepalive" in reason:
            return "Gemini did not answer a ping within a minute: the link was given up"
        return f"the link to Gemini broke{quoted}"
    if code == TOO_BIG:
        return "Gemini sent a frame that is too long to be taken"
    return f"Gemini closed the connection: {code}{quoted}"


_REMEDIES = (
    (
        "thinking level must be specified",
        "this model wants a thinking_level: set it to LOW, MEDIUM or HIGH",
    ),
    (
        "thinking level is not supported",
        "this model takes no thinking_level: clear it, or choose another Model",
    ),
    (
        "blocking function calls are not supported",
        "this model never waits for a tool: set the tool's mode to enabled_nonblocking",
    ),
    (
        "response scheduling is not supported",
        "this model takes no tool_scheduling: clear it, or choose another Model",
    ),
    ("response modalities", "this model does not speak: choose another Model"),
    ("voice", "this Voice is not known: choose another"),
    (
        "unknown name",
        "a setting that this model does not know was sent: look at the gemini_live page",
    ),
    (
        "not implemented, or supported, or enabled",
        "the account or this model has no such function: choose another Model",
    ),
    ("precondition", "the model does not take what was sent: choose another Model"),
)
"""Part of a reason -> what to do."""


def _remedy(reason: str, before_open: bool) -> str:
    quoted = f" ({reason})" if reason else ""
    low = reason.lower()
    if _names_model(reason):
        return f"Gemini does not know this model{quoted}: choose another Model"
    for part, remedy in _REMEDIES:
        if part in low:
            return f"Gemini refused{quoted}: {remedy}"
    if before_open:
        return (
            f"Gemini refused the settings{quoted}: look at Model, Voice, Enablegrounding, the "
            "tools and the gemini_live page"
        )
    return (
        f"Gemini ended the session for good{quoted}: its context is full, or it was sent something "
        "that this model does not take; Connect starts a new one"
    )


def _names_model(reason: str) -> bool:
    low = reason.lower()
    return "is not found" in low or "not supported for bidigeneratecontent" in low


def _names_key(reason: str) -> bool:
    low = reason.lower()
    return "api key" in low or "api_key" in low
