"""When a leg is exchanged for the next one, from which frame on that one hears, what is told."""

from __future__ import annotations

import msgspec

from voiced.messages.network import ProviderCard
from voiced.mind.session import SECOND
from voiced.mind.turns import Turns

LEAD_S = 5.0
"""The next leg is dialled so long before the cap, when nobody speaks."""
LAST_S = 1.0
"""At the latest so long before the service ends the leg, whoever speaks."""
PREROLL_S = 0.5
"""Heard again by the next leg: a word may have begun before anybody noticed it."""


class Plan(msgspec.Struct, kw_only=True):
    """A leg that will end: why, and when it is exchanged."""

    reason: str
    """"cap" or "goaway"."""
    due_ns: int
    """From here on, as soon as nobody speaks."""
    latest_ns: int
    """Whoever speaks."""


def cap_plan(opened_ns: int, max_session_s: int) -> Plan:
    """Return the plan for a leg that its service ends after `max_session_s`."""
    lead, last = min(LEAD_S, max_session_s / 4), min(LAST_S, max_session_s / 10)
    return Plan(
        reason="cap",
        due_ns=opened_ns + int((max_session_s - lead) * SECOND),
        latest_ns=opened_ns + int((max_session_s - last) * SECOND),
    )


def goaway_plan(reason: str, mono_ns: int, time_left_s: float) -> Plan:
    """Return the plan for a leg that its service announced to end."""
    left = max(0.0, time_left_s)
    last = min(LAST_S, left / 4)
    return Plan(
        reason="cap" if reason == "cap" else "goaway",
        due_ns=mono_ns,
        latest_ns=mono_ns + int((left - last) * SECOND),
    )


def warning_at(opened_ns: int, max_session_s: int, warning_s: int) -> int | None:
    """Return when `expiring` is told; None where Refreshwarning is 0."""
    if warning_s == 0:
        return None
    return opened_ns + max(0, max_session_s - warning_s) * SECOND


def possible(card: ProviderCard | None, wanted: bool) -> bool:
    """Whether a session of this provider goes on with a new leg at its cap."""
    return wanted and card is not None and card.resumption != "none"


def first_frame(turns: Turns, opened_frame: int, near_frame: int, samplerate: int) -> int:
    """Return the near frame from which the next leg hears.

    The oldest turn without final words decides; else where the old leg stopped hearing. Either a
    little earlier, since a detector needs what came before the first sound to notice its word, but
    behind the last finished turn.

    Args:
        turns: the conversation.
        opened_frame: where the session opened; nothing before it is its own.
        near_frame: where near stood when the old leg was lost; -1 = not known.
        samplerate: of near, Hz.
    """
    oldest = turns.oldest_open_frame()
    first = oldest if oldest >= 0 else near_frame
    if first < 0:
        return -1
    return max(0, opened_frame, turns.last_end_frame(), first - int(PREROLL_S * samplerate))


def row_text(mode: str, reason: str) -> str:
    """Return the system row that a refresh leaves in the conversation."""
    return f"▶ Refreshed session ({mode}) — reason: {reason}"


def resume_text(mode: str, provider: str, messages: int) -> str:
    """Return the Sessionresume readout."""
    if mode == "native":
        return f"Resumed via native handle ({provider})"
    if mode == "replay":
        return f"Replayed {messages} messages (replay, cost grows with history)"
    return "Fresh session"
