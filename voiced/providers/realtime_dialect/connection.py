"""The socket under a conversation: one task reads, one writes what nobody waits for.

Every event leaves in the order in which it was put into the outbox, whoever sends it: a chunk of
the microphone sends what waits before it too, and returns when the transport has taken all of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from voiced.errors import ProviderError, ProviderUnavailable
from voiced.messages.network import HistoryRow
from voiced.providers.dial import closing, dial
from voiced.providers.realtime_dialect.client import ClientEvent, encode
from voiced.providers.realtime_dialect.conversation import Conversation

PRIMED_WITHIN_S = 5.0
"""History that is not acknowledged by then is taken for lost; the conversation goes on."""
EXPIRING_S = 10.0
"""The end that the service announced at the start is told so long before it."""


class Connection:
    """A conversation on its socket; what `start_session` returns.

    Args:
        conversation: the protocol's state.
        socket: the open websocket.

    Attributes:
        resumed: the service remembers an older conversation.
        session_id: the service's name for the session.
        conversation: the protocol's state.
    """

    def __init__(self, conversation: Conversation, socket: ClientConnection) -> None:
        self.resumed = False
        self.conversation = conversation
        self._socket = socket
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._primed = asyncio.Event()
        self._waiting = asyncio.Event()
        self._stirred = asyncio.Event()
        """Something came or fell due."""
        self._sending = asyncio.Lock()
        self._timers: set[asyncio.TimerHandle] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = False
        conversation.shell = self

    @property
    def session_id(self) -> str:
        """The service's name for the session."""
        return self.conversation.session_id

    # --- life -------------------------------------------------------------------------------

    async def open(self, first: ClientEvent) -> None:
        """Begin with `first`, the settings; return when they are in force.

        Raises:
            ProviderError: the service does not take them, or hung up.
        """
        self._start(self._read(), "read")
        self._start(self._write(), "write")
        self.conversation.send(first)
        await self._ready
        self._plan_expiry()

    async def prime(self, rows: Sequence[HistoryRow], respond: bool) -> None:
        """Give the conversation so far; return when the service has it.

        The answer to its last row is asked for when the caller next waits for anything: it must be
        able to say first that the connection is open.
        """
        self.conversation.prime(rows, respond)
        try:
            async with asyncio.timeout(PRIMED_WITHIN_S):
                await self._primed.wait()
        except TimeoutError:
            title = self.conversation.dialect.service.title
            self.conversation.callbacks.trouble(
                "history", f"{title} did not acknowledge all of the conversation so far"
            )
        self.conversation.release_answer()

    async def close(self) -> None:
        """Hang up; nothing is told of it."""
        self._ended = True
        for timer in self._timers:
            timer.cancel()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._socket.close()

    async def hear(self, chunk: bytes) -> None:
        """Send a chunk of the microphone, as soon as the service may hear it."""
        while self.conversation.hearing.blocked and not self._ended:
            self._stirred.clear()
            await self._stirred.wait()
        self.conversation.hearing.hear(chunk)
        await self.flush()

    async def flush(self) -> None:
        """Send what waits in the outbox; return when the transport has taken it."""
        outbox = self.conversation.outbox
        async with self._sending:
            while outbox:
                try:
                    await self._socket.send(encode(outbox.popleft()), text=True)
                except ConnectionClosed:
                    # The reader tells what that means.
                    outbox.clear()

    # --- what the conversation asks for -----------------------------------------------------

    def wake(self) -> None:
        """See `Shell.wake`, as with every method below."""
        self._waiting.set()

    def cut(self, running: str) -> None:
        """Silence the loudspeaker and tell the conversation what was heard."""
        self._start(self._cut(running), "cut")

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call back later."""

        def due() -> None:
            self._timers.discard(timer)
            call()
            self._stirred.set()

        timer = self._loop.call_later(seconds, due)
        self._timers.add(timer)

    def now(self) -> float:
        """Tell the time."""
        return self._loop.time()

    def opened(self) -> None:
        """Our settings are in force."""
        if not self._ready.done():
            self._ready.set_result(None)

    def primed(self) -> None:
        """The service has all of the history."""
        self._primed.set()

    def end(self, error: ProviderError) -> None:
        """The connection is of no use any more: tell it once, to whoever waits."""
        if self._ended:
            return
        self._ended = True
        self._stirred.set()
        if self._ready.done():
            self.conversation.callbacks.closed(error)
        else:
            self._ready.set_exception(error)

    # --- tasks ------------------------------------------------------------------------------

    def _start(self, what: Coroutine[Any, Any, None], name: str) -> None:
        task = self._loop.create_task(
            what, name=f"{name} {self.conversation.dialect.service.title}"
        )
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its text may hold anything: only its kind is told.
            sentence = f"the connection failed: {type(error).__name__} in {task.get_name()}"
            self.end(ProviderUnavailable(sentence, "provider_failed"))

    async def _read(self) -> None:
        try:
            while True:
                self.conversation.take(await self._socket.recv())
                self._stirred.set()
        except ConnectionClosed as error:
            self.end(self.conversation.troubles.over(closing(error)))

    async def _write(self) -> None:
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            await self.flush()

    async def _cut(self, running: str) -> None:
        self.conversation.heard(await self.conversation.callbacks.interrupted(), running)

    def _plan_expiry(self) -> None:
        left = self.conversation.expires_at - self._service_time()
        if left > 0:
            lead = min(EXPIRING_S, left / 4)
            self.after(left - lead, lambda: self.conversation.troubles.expiring(lead))

    def _service_time(self) -> float:
        """Return the service's own clock at the handshake, about: ours may be wrong by hours."""
        response = self._socket.response
        date = response.headers.get("Date") if response is not None else None
        with contextlib.suppress(TypeError, ValueError):
            return parsedate_to_datetime(date or "").timestamp()
        return time.time()


async def connect(
    conversation: Conversation,
    url: str,
    headers: Mapping[str, str],
    first: ClientEvent,
    *,
    endpoint: str = "",
) -> Connection:
    """Open a connection whose settings are in force.

    Args:
        conversation: new.
        url: the service's own address, path and query.
        headers: the key among them.
        first: the settings.
        endpoint: takes the place of the service's host.

    Raises:
        ProviderRefused: trying again is useless.
        ProviderUnavailable: everything that may pass.
    """
    socket = await dial(conversation.dialect.service, url, headers, endpoint=endpoint)
    conn = Connection(conversation, socket)
    try:
        await conn.open(first)
    except BaseException:
        await conn.close()
        raise
    return conn
