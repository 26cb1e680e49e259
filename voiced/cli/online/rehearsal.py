"""A session's first words, without the service: the provider talks to a socket of this machine.

What a provider would send first is what its service judges a set-up by. Here its own code sends it,
over loopback and with a key that is none, so that no builder has to be known and nothing leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from voiced.errors import ProviderError, ProviderRefused
from voiced.messages.network import Value
from voiced.mind.parameters import ENDPOINT
from voiced.providers.contract import Connection, HeardItem, LegCallbacks, Provider, SessionRequest

NO_KEY = "no-key-at-all"
"""Goes to the loopback socket alone."""
WITHIN_S = 10.0


class Rehearsed(msgspec.Struct, frozen=True, kw_only=True):
    """How a session would have begun."""

    frames: list[dict[str, Any]]
    """What the provider sent first; empty where the address says it all."""
    told: list[str]
    """What the provider had to say to the operator."""
    refused: str = ""
    """Why the provider itself did not begin."""


class _Deaf:
    """LegCallbacks that keep what the operator would be told, and nothing else."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None

    def trouble(self, code: str, sentence: str) -> None:
        """Keep it."""
        self.told.append(sentence)

    async def interrupted(self) -> list[HeardItem]:
        """Nothing sounds here."""
        return []


async def rehearse(
    provider: Provider,
    agent: str,
    page: Mapping[str, Value],
    greeting: Mapping[str, Any] | None,
    *,
    push_to_talk: bool,
) -> Rehearsed:
    """Have a provider begin a session with a socket of this machine.

    Args:
        provider: the module.
        agent: whose session it would be.
        page: what a leg is told of.
        greeting: the service's first message, None where the client speaks first.
        push_to_talk: Talk says where turns begin and end.
    """
    frames: list[dict[str, Any]] = []
    spoken = asyncio.Event()

    async def listen(socket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            if greeting is not None:
                await socket.send(msgspec.json.encode(greeting), text=True)
            frames.append(msgspec.json.decode(await socket.recv(decode=False)))
            spoken.set()
            await socket.wait_closed()

    deaf = _Deaf()
    async with serve(listen, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        request = SessionRequest(
            agent=agent,
            leg=1,
            parameters={**page, ENDPOINT: f"ws://127.0.0.1:{port}"},
            push_to_talk=push_to_talk,
            api_key=NO_KEY,
        )
        beginning = asyncio.create_task(provider.start_session(request, cast(LegCallbacks, deaf)))
        heard = asyncio.create_task(spoken.wait())
        await asyncio.wait(
            [beginning, heard], timeout=WITHIN_S, return_when=asyncio.FIRST_COMPLETED
        )
        refused = await _ended(provider, beginning, bool(frames))
        heard.cancel()
    return Rehearsed(frames=frames, told=deaf.told, refused=refused)


async def _ended(provider: Provider, beginning: asyncio.Task[Connection], spoke: bool) -> str:
    """End what was begun; return why it did not begin by itself."""
    if not beginning.done():
        beginning.cancel()
    outcome = (await asyncio.gather(beginning, return_exceptions=True))[0]
    match outcome:
        case asyncio.CancelledError():
            return "" if spoke else "it did not begin within 10 s"
        case ProviderRefused():
            return "" if spoke else str(outcome)
        case ProviderError():
            return ""  # the loopback socket is no service
        case BaseException():  # anybody's code
            return f"{type(outcome).__name__} in start_session"
        case connection:
            await provider.end_session(connection)
            return ""
