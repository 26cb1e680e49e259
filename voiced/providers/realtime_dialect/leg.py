"""The contract's functions that are the same for every service of this dialect.

A provider module takes them over (`note = leg.note`); the contract says what each of them is for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from voiced.providers.contract import HeardItem
from voiced.providers.realtime_dialect.connection import Connection
from voiced.providers.realtime_dialect.conversation import Conversation


class Live(Protocol):
    """What a provider's `start_session` returns, as far as these functions know it."""

    conversation: Conversation
    link: Connection


async def send_activity(conn: Live, active: bool) -> None:
    """Send an edge of the gate."""
    conn.conversation.hearing.activity(active)
    await conn.link.flush()


async def say(conn: Live, text: str) -> None:
    """Have words spoken as they are."""
    conn.conversation.say(text)
    await conn.link.flush()


async def note(conn: Live, text: str) -> None:
    """Give context without a reply."""
    conn.conversation.note(text)
    await conn.link.flush()


async def send_tool_response(conn: Live, call_id: str, name: str, ok: bool, result: str) -> None:
    """Send the result of a tool call, as soon as the service takes it."""
    conn.conversation.result(call_id, name, ok, result)
    await conn.link.flush()


async def interrupt(conn: Live, heard: Sequence[HeardItem]) -> None:
    """Stop the reply, and tell the service what was heard of it."""
    conn.conversation.interrupted(heard)
    await conn.link.flush()


async def end_session(conn: Live) -> None:
    """Close the connection."""
    await conn.link.close()
