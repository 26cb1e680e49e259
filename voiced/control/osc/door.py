"""The OSC door itself: sockets, who may come in, and in which order things are acted on."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final

from voiced.control.osc.address import (
    AtAgent,
    AtDaemon,
    AtParameter,
    AtSignal,
    Nowhere,
    OutOnly,
    matching,
    resolve,
)
from voiced.control.osc.codec import MAX_PACKET, OscMessage, PacketError, decode
from voiced.control.osc.daemon import Daemon
from voiced.control.osc.framing import MAX_STREAM_PACKET
from voiced.control.osc.inbox import Inbox
from voiced.control.osc.limits import Recent
from voiced.control.osc.pacing import Pacer
from voiced.control.osc.pattern import is_pattern
from voiced.control.osc.peer import PATTERNS_PER_S, SHELL, Destination, OscArgs, Peer
from voiced.control.osc.publish import Publisher
from voiced.control.osc.refusals import listen_for_refusals, refused_destinations
from voiced.control.osc.replies import Replies
from voiced.control.osc.settings import OscConfig, is_here
from voiced.control.osc.signals import SignalClock
from voiced.control.osc.streams import MAX_STREAMS, Stream
from voiced.control.osc.surface import PAR, Surface
from voiced.control.osc.targets import Listeners, SavedSubscription, Target
from voiced.control.osc.tools import ToolDoor
from voiced.control.osc.values import Values
from voiced.lane.seam import widen
from voiced.mind.effects import AgentEffect, DropCall, RunTool
from voiced.mind.inputs import HolderGone, Origin
from voiced.parameters import Kind

RECEIVE_BUFFER: Final = 4 << 20
"""Bytes, as far as the system grants them: a fifth of a second of a flood."""
DRAIN: Final = 256
"""Datagrams read before the loop gets its turn..."""
DRAIN_S: Final = 0.004
"""...or so many seconds of them."""
FLOOD_FLUSH_S: Final = 0.01
"""Under a flood, plain writes are acted on so often."""
MAX_SCHEDULED: Final = 1024
AHEAD_S: Final = 2.0
"""Timetags further ahead are no clock of this machine's."""
_NTP_EPOCH: Final = 2_208_988_800
_PEERS: Final = 1024
_RESOLVE_AGAIN_S: Final = 5.0
_SEND_TRIES: Final = 4


def _nothing_kept(_subscriptions: list[SavedSubscription]) -> None:
    pass


class OscDoor:
    """Everything OSC: `start`, `perform` each effect, `close`.

    `keep` is called with the lease-0 subscriptions whenever they change; `saved` are those of the
    run before. All in one event loop.
    """

    def __init__(
        self,
        surface: Surface,
        config: OscConfig,
        *,
        saved: Sequence[SavedSubscription] = (),
        keep: Callable[[list[SavedSubscription]], None] = _nothing_kept,
    ) -> None:
        self._surface = surface
        self._config = config
        self._now = time.monotonic
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._streams: dict[Destination, tuple[Stream, Peer]] = {}
        self._peers: Recent[Destination, Peer] = Recent(_PEERS, self._make_peer)
        self._hosts: Recent[str, tuple[bool, bool]] = Recent(_PEERS, self._judge)
        self._buffer = bytearray(65_536)
        self._flush_timer: asyncio.TimerHandle | None = None
        self._scheduled: set[asyncio.TimerHandle] = set()
        self._second: asyncio.TimerHandle | None = None
        self._resolving: asyncio.Task[None] | None = None
        self._beats = 0
        self.dropped = 0
        """Packets from hosts that may not talk to this door, and its own."""
        self._told_own = False
        self._listeners = Listeners(self._wire)
        self._listeners.restore(saved, time.time())
        self._replies = Replies(surface, self._listeners, self._now)
        self._values = Values(surface, self._replies, config.rates, self._now)
        self._publisher = Publisher(
            surface, self._listeners, self._replies, self._peer_of, self._now
        )
        self._inbox = Inbox(self._write_packet)
        self._keep = keep
        self._judge_networks()

    # --- life

    async def start(self) -> None:
        """Open the door.

        Raises:
            OSError: The port is taken, or the address is not this machine's.
        """
        loop = self._loop = asyncio.get_running_loop()
        self._pacer = Pacer(loop)
        self._tools = ToolDoor(
            self._surface, self._replies, self._pacer, self._values.too_long, loop.call_soon
        )
        self._daemon = Daemon(
            self._surface, self._listeners, self._replies, self._values, self._pacer, self._now,
            self._keep, self._tools,
        )  # fmt: skip
        self._clock = SignalClock(loop, self._surface.agents, self._signal_rate, self._signal_tick)
        await self._bind()
        for sock in self._sockets:
            loop.add_reader(sock, self._readable, sock)
        self._configure_targets()
        self._clock.start()
        self._every_second(self._now())

    async def _bind(self) -> None:
        """Bind UDP and TCP to one port; beside 127.0.0.1 to ::1 too, where there is one."""
        address = ipaddress.ip_address(self._config.bind)
        port = self._config.port
        for attempt in range(16):
            try:
                await self._bind_one(str(address), port)
                break
            except OSError:
                # A free UDP port may be a taken TCP port.
                await self._unbind()
                if port != 0 or attempt == 15:
                    raise
        if str(address) == "127.0.0.1":
            with contextlib.suppress(OSError):
                await self._bind_one("::1", self.port)

    async def _bind_one(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            widen(sock, RECEIVE_BUFFER)
            sock.bind((host, port))
            listen_for_refusals(sock)
            server = await self._loop.create_server(
                self._stream, host, sock.getsockname()[1], family=family
            )
        except OSError:
            sock.close()
            raise
        self._sockets.append(sock)
        self._servers.append(server)

    async def _unbind(self) -> None:
        for sock in self._sockets:
            self._loop.remove_reader(sock)
            sock.close()
        self._sockets.clear()
        for server in self._servers:
            server.close()
        self._servers.clear()

    @property
    def port(self) -> int:
        """The port in use."""
        name = self._sockets[0].getsockname()
        return int(name[1])

    async def close(self) -> None:
        """Close the door; what was to be said must have been said."""
        self._inbox.flush()
        self._clock.close()
        self._pacer.close()
        for timer in (*self._scheduled, self._second, self._flush_timer):
            if timer is not None:
                timer.cancel()
        self._scheduled.clear()
        if self._resolving is not None:
            self._resolving.cancel()
            await asyncio.gather(self._resolving, return_exceptions=True)
        for stream, _peer in list(self._streams.values()):
            stream.close()
        await self._unbind()

    def reload(self, config: OscConfig) -> None:
        """Take a new configuration: everything but `bind` and `port`, which need a restart."""
        self._config = config
        self._values.rates = config.rates
        self._judge_networks()
        self._hosts.clear()
        self._peers.clear()
        self._configure_targets()

    def changed(self) -> None:
        """Note that agents, pages or rows have changed."""
        self._inbox.forget()
        self._clock.start()

    # --- out

    def perform(self, agent: str, effect: AgentEffect) -> None:
        """Tell listeners what an effect means to them, and executors what they are to do."""
        match effect:
            case RunTool() | DropCall() if effect.executor.kind in ("osc", SHELL):
                self._tools.perform(agent, effect)
            case _:
                self._publisher.perform(agent, effect)

    def send(self, destination: Destination, packet: bytes) -> None:
        """Send a packet of somebody else's: a tool of the configuration."""
        self._wire(destination, packet)

    def said(self, address: str, *args: int | float | str) -> None:
        """Tell listeners something of the daemon's: /voiced/startup, /voiced/mute, an error."""
        self._publisher.tell(address, args)

    def share_frames(self, heard: Callable[[str, str, int], None]) -> None:
        """Have somebody told of onAudioIn and onAudioOut too: agent, name, frames."""
        self._publisher.heard_frames = heard

    def _wire(self, destination: Destination, packet: bytes) -> None:
        v6 = ":" in destination[0]
        for sock in self._sockets:
            if (sock.family == socket.AF_INET6) == v6:
                self._send_on(sock, destination, packet)
                return

    def _send_on(self, sock: socket.socket, destination: Destination, packet: bytes) -> None:
        for _ in range(_SEND_TRIES):
            try:
                sock.sendto(packet, destination)
                return
            except BlockingIOError:
                return  # the kernel's buffer is full: like a datagram lost on the way
            except OSError:
                # What an earlier packet met with is told now, and this one was not sent.
                self._refusals(sock)

    def _refusals(self, sock: socket.socket) -> None:
        for destination in refused_destinations(sock):
            self._listeners.refused(destination)
            self._tools.refused(destination)

    def _signal_rate(self, agent: str) -> float:
        return max(1.0, float(self._surface.value(agent, PAR, "Signalrate")))

    def _signal_tick(self, agent: str, everything: bool) -> None:
        self._publisher.tick(agent, everything=everything)

    def _every_second(self, due: float) -> None:
        now = self._now()
        self._beats += 1
        self.said("/voiced/heartbeat", self._beats)
        before = len(self._listeners)
        self._listeners.expire(now, time.time())
        if len(self._listeners) != before:
            self._keep(self._listeners.saved())
        for target in self._listeners.all():
            if target.is_back(now):
                self._dump_to(target)
            elif target.absent:
                self._probe(target)
        following = max(due + 1.0, now)
        self._second = self._loop.call_later(following - now, self._every_second, following)

    def _probe(self, target: Target) -> None:
        """Send an absent target a heartbeat whatever it wants: it is refused, or is the last."""
        self._listeners.tell_one(target, "/voiced/heartbeat", (self._beats,), self._now())

    def _dump_to(self, target: Target) -> None:
        def tell(address: str, args: OscArgs) -> None:
            if target.wants(address):
                self._listeners.tell_one(target, address, args, self._now())

        self._daemon.dump(target.destination, "/*", tell)

    # --- the configuration's targets

    def _configure_targets(self) -> None:
        if self._resolving is not None:
            self._resolving.cancel()
        self._listeners.configure([])
        self._resolving = self._loop.create_task(self._resolve_targets())

    async def _resolve_targets(self) -> None:
        """Find every target's address; names that cannot be found are asked for again."""
        found: dict[int, Target] = {}
        while True:
            for number, one in enumerate(self._config.targets):
                if number in found:
                    continue
                with contextlib.suppress(OSError):
                    ip = await self._address_of(one.host, one.port)
                    found[number] = Target(
                        (ip, one.port), self._wire, one.send, one.skip,
                        flat=one.flat, configured=True,
                    )  # fmt: skip
            self._listeners.configure([found[number] for number in sorted(found)])
            for target in self._listeners.all():
                if target.absent:
                    self._probe(target)
            missing = [t.host for n, t in enumerate(self._config.targets) if n not in found]
            if not missing:
                return
            self._replies.log("warning", f"! osc target {missing[0]} cannot be found yet")
            await asyncio.sleep(_RESOLVE_AGAIN_S)

    async def _address_of(self, host: str, port: int) -> str:
        with contextlib.suppress(ValueError):
            return str(ipaddress.ip_address(host))
        families = [sock.family for sock in self._sockets]
        for _family, _, _, _, name in await self._loop.getaddrinfo(
            host, port, type=socket.SOCK_DGRAM
        ):
            if _family in families:
                return str(name[0])
        raise OSError(f"{host} has no address that can be reached from here")

    # --- who may come in

    def _judge_networks(self) -> None:
        self._allow = [ipaddress.ip_network(n, strict=False) for n in self._config.allow]
        self._admin = [ipaddress.ip_network(n, strict=False) for n in self._config.admin]

    def _judge(self, ip: str) -> tuple[bool, bool]:
        """Return whether a host may come in, and whether as admin."""
        address = ipaddress.ip_address(ip.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        address = mapped or address
        admin = address.is_loopback or any(address in network for network in self._admin)
        return admin or any(address in network for network in self._allow), admin

    def _make_peer(self, source: Destination) -> Peer:
        ip, port = source
        return Peer(ip, port, self._wire, admin=self._hosts[ip][1])

    def _peer_of(self, origin: Origin) -> Peer | None:
        for _stream, peer in self._streams.values():
            if peer.origin == origin:
                return peer
        if origin.kind != "osc":
            return None
        ip, _, port = origin.id.rpartition(":")
        return self._peers.known((ip, int(port))) if port.isdigit() else None

    # --- in, by UDP

    def _readable(self, sock: socket.socket) -> None:
        """Read what is there, but not for so long that the loop starves."""
        until = self._now() + DRAIN_S
        last: tuple[str, int] | None = None
        for count in range(DRAIN):
            try:
                size, source = sock.recvfrom_into(self._buffer)
            except BlockingIOError:
                self._refusals(sock)
                self._flush()
                return
            except OSError:
                self._refusals(sock)
                continue
            if source != last:
                if not self._hosts[source[0]][0] or self._is_own(sock, source):
                    self.dropped += 1
                    continue
                last, peer = source, self._peers[source[:2]]
            packet = bytes(memoryview(self._buffer)[:size])
            self._take(peer, packet)
            if count % 16 == 15 and self._now() > until:
                break
        # More is waiting: a flood. Its writes are acted on at a pace of their own.
        if self._flush_timer is None:
            self._flush_timer = self._loop.call_later(FLOOD_FLUSH_S, self._flush)

    def _is_own(self, sock: socket.socket, source: tuple[str, int]) -> bool:
        """Whether this door sent it: a listener was named that is the door itself.

        Taken, it would be answered for ever: what is told of a value is a wish when it comes back.
        """
        host, port = sock.getsockname()[:2]
        if source[1] != port or (source[0] != host and not is_here(source[0])):
            return False
        if not self._told_own:
            self._told_own = True
            self._replies.log(
                "warning",
                f"! osc: what voiced sends to port {port} comes back to itself and is dropped: "
                "name the port where your patch listens",
            )
        return True

    def _take(self, peer: Peer, packet: bytes) -> None:
        if not self._inbox.take(peer, packet):
            self._packet(peer, packet)

    def _flush(self) -> None:
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        if self._inbox:
            self._inbox.flush()

    def _write_packet(self, peer: Peer, at: AtParameter, packet: bytes) -> bool:
        try:
            (message,) = decode(packet, MAX_STREAM_PACKET)
        except PacketError as error:
            self._replies.refuse(peer, at.address, "bad_type", str(error))
            return False
        return self._values.write(peer, at, message.args)

    # --- in, by TCP

    def _stream(self) -> Stream:
        return Stream(self._opened, self._take, self._flush, self._closed, self._replies.log)

    def _opened(self, stream: Stream) -> Peer | None:
        ip, port = stream.remote
        allowed, admin = self._hosts[ip] if ip else (False, False)
        if not allowed or len(self._streams) >= MAX_STREAMS:
            self.dropped += 1
            return None
        peer = Peer(ip, port, stream.send, admin=admin, stream=True)
        self._streams[stream.remote] = (stream, peer)
        return peer

    def _closed(self, peer: Peer) -> None:
        self._streams.pop(peer.destination, None)
        self._listeners.unsubscribe_stream(peer.destination)
        self._tools.closed(peer)
        if peer.origin.kind == SHELL:
            return  # `voiced set Talk 1` holds until `voiced set Talk 0`, or Talkmax.
        for agent in self._surface.agents():
            self._surface.put(agent, HolderGone(origin=peer.origin))

    # --- packets to messages to meanings

    def _packet(self, peer: Peer, packet: bytes) -> None:
        try:
            messages = decode(packet, MAX_STREAM_PACKET if peer.stream else MAX_PACKET)
        except PacketError as error:
            self._replies.refuse(peer, "/", "bad_type", f"not an OSC packet: {error}")
            return
        for message in messages:
            delay = message.timetag / 2**32 - _NTP_EPOCH - time.time()
            if message.timetag > 1 and 0.0 < delay <= AHEAD_S:
                self._schedule(peer, message, delay)
            else:
                self._arrive(peer, message, packet if len(messages) == 1 else b"")

    def _schedule(self, peer: Peer, message: OscMessage, delay: float) -> None:
        if len(self._scheduled) >= MAX_SCHEDULED:
            self._replies.refuse(
                peer, message.address, "busy", f"{MAX_SCHEDULED} messages wait for their time"
            )
            return

        def due() -> None:
            self._scheduled.discard(timer)
            self._arrive(peer, message, b"")

        timer = self._loop.call_later(delay, due)
        self._scheduled.add(timer)

    def _arrive(self, peer: Peer, message: OscMessage, packet: bytes) -> None:
        """Act on one message; a plain write in a packet of its own waits for the drain's end."""
        address = message.address
        try:
            if is_pattern(address):
                if not peer.patterns.take(self._now()):
                    self._replies.refuse(
                        peer, address, "rate", f"{PATTERNS_PER_S} patterns a second are taken"
                    )
                    return
                self._flush()
                self._act_on_pattern(peer, message)
                return
            at = resolve(self._surface, address)
            if isinstance(at, AtParameter) and not at.child and message.args:
                row = self._surface.row(at.agent, at.page, at.name)
                if row is not None and row.kind is not Kind.PULSE and packet[:1] == b"/":
                    self._inbox.learn(packet, message, at)
                    self._inbox.put(peer, at, packet)
                    return
            self._flush()
            self._act(peer, at, message)
        except PacketError as error:
            self._replies.refuse(peer, address, "bad_value", str(error))

    def _act(
        self,
        peer: Peer,
        at: AtParameter | AtSignal | AtDaemon | AtAgent | OutOnly | Nowhere,
        message: OscMessage,
    ) -> None:
        address, args = message.address, message.args
        match at:
            case AtParameter():
                row = self._surface.row(at.agent, at.page, at.name)
                if args or (row is not None and row.kind is Kind.PULSE):
                    self._values.write(peer, at, args)
                else:
                    self._values.ask(peer, at)
            case AtSignal():
                if args:
                    self._replies.refuse(peer, address, "read_only", f"{address} only goes out")
                else:
                    self._answer_signal(peer, at)
            case AtDaemon():
                self._daemon.act(peer, at, args)
            case AtAgent():
                self._daemon.act_agent(peer, at, args)
            case OutOnly():
                if not at.daemon:
                    self._replies.refuse(peer, address, "read_only", f"{address} only goes out")
            case Nowhere():
                self._replies.refuse(peer, address, "unknown_address", at)

    def _answer_signal(self, peer: Peer, at: AtSignal) -> None:
        value = self._surface.signals(at.agent).get(at.channel)
        if value is not None and abs(value) < float("inf"):
            peer.answer(at.address, (float(value),))

    def _act_on_pattern(self, peer: Peer, message: OscMessage) -> None:
        """Queries, and writes to non-pulse parameters whose names are written out."""
        found = matching(self._surface, message.address)
        segments = message.address[1:].split("/")
        spelled = not any(is_pattern(segment) for segment in segments[2:])
        refused: tuple[str, str] | None = None
        acted = 0
        for at in found:
            if isinstance(at, AtSignal):
                if not message.args:
                    self._answer_signal(peer, at)
                    acted += 1
                continue
            row = self._surface.row(at.agent, at.page, at.name)
            assert row is not None
            acts = bool(message.args) or at.child in ("toggle", "clear", "default")
            if row.kind is Kind.PULSE:
                refused = ("denied", f"{row.name} is a pulse: it takes no pattern")
            elif not acts:
                self._values.ask(peer, at)
                acted += 1
            elif row.secret:
                refused = ("denied", f"{row.name} is a secret: it takes no pattern")
            elif not spelled:
                refused = ("denied", "a pattern writes only where the parameter's name is written")
            else:
                self._values.write(peer, at, message.args) if message.args else self._values.ask(
                    peer, at
                )
                acted += 1
        if acted == 0:
            code, sentence = refused or ("unknown_address", "this pattern matches nothing")
            self._replies.refuse(peer, message.address, code, sentence)
