"""The daemon's own words at /voiced, and an agent's beside its parameters."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from voiced.control.osc.address import (
    AtAgent,
    AtDaemon,
    AtParameter,
    AtSignal,
    resolve,
)
from voiced.control.osc.codec import Argument
from voiced.control.osc.pacing import Pacer
from voiced.control.osc.pattern import Pattern
from voiced.control.osc.peer import Destination, OscArgs, Peer
from voiced.control.osc.publish import row_args
from voiced.control.osc.reference import described
from voiced.control.osc.replies import Replies
from voiced.control.osc.surface import Surface
from voiced.control.osc.targets import DEFAULT_LEASE_S, Listeners, SavedSubscription
from voiced.control.osc.tools import ToolDoor
from voiced.control.osc.usage import Usage, none, whole, words
from voiced.control.osc.values import Values
from voiced.mind.inputs import NoteText, SayText
from voiced.parameters import Kind, Refusal

MAX_LEASE_S: Final = 24 * 3600
_ROWS: Final = 20
_WHOLE: Final = 2**31


class Daemon:
    """Acts on what is sent to /voiced/... and to an agent's own words."""

    def __init__(
        self,
        surface: Surface,
        listeners: Listeners,
        replies: Replies,
        values: Values,
        pacer: Pacer,
        now: Callable[[], float],
        keep: Callable[[list[SavedSubscription]], None],
        tools: ToolDoor,
    ) -> None:
        self._surface = surface
        self._listeners = listeners
        self._replies = replies
        self._values = values
        self._pacer = pacer
        self._now = now
        self._keep = keep
        self._tools = tools
        self._words: dict[str, Callable[[Peer, Sequence[Argument]], None]] = {
            "ping": self._ping, "status": self._status, "sync": self._sync,
            "subscribe": self._subscribe, "unsubscribe": self._unsubscribe,
            "shell": self._shell, "replyport": self._replyport, "targets": self._targets,
            "dump": self._dump, "help": self._help, "agents": self._agents, "mute": self._mute,
            "audio/input": self._input, "audio/output": self._output,
            "forget": self._forget, "audio/play": self._play,
            "midi/bindings": self._bindings, "midi/ports": self._ports,
        }  # fmt: skip

    def act(self, peer: Peer, at: AtDaemon, args: Sequence[Argument]) -> None:
        """Act on a message to /voiced/..."""
        address = f"/voiced/{at.word}"
        if at.entry.later:
            self._replies.refuse(peer, address, "later", at.entry.later)
            return
        if at.entry.admin and args and not peer.admin:
            self._replies.refuse(
                peer, address, "denied", f"{address} takes this from here and osc.admin only"
            )
            return
        try:
            self._words[at.word](peer, args)
        except Usage as usage:
            self._replies.refuse(peer, address, "bad_type", f"{address}: {usage}")

    # --- words without effect

    def _ping(self, peer: Peer, args: Sequence[Argument]) -> None:
        finite = [a for a in args if isinstance(a, int | float | str) and a == a]
        peer.answer("/voiced/pong", [a for a in finite if a not in (float("inf"), -float("inf"))])

    def _status(self, peer: Peer, args: Sequence[Argument]) -> None:
        none(args)
        status = self._surface.status()
        peer.answer(
            "/voiced/status",
            (status.version, len(self._surface.agents()), status.engine,
             float(status.uptime_s), len(self._listeners)),
        )  # fmt: skip

    def _sync(self, peer: Peer, args: Sequence[Argument]) -> None:
        if len(args) != 1:
            raise Usage("takes a number, which comes back")
        peer.answer("/voiced/synced", (whole(args[0], "it", -_WHOLE, _WHOLE - 1),))

    def _help(self, peer: Peer, args: Sequence[Argument]) -> None:
        (address,) = words(args, 1, "takes an address, as /voice_agent/par/Volume")
        _begun(address)
        answer = described(self._surface, address)
        if isinstance(answer, Refusal):
            self._replies.refusal(peer, address, answer)
        else:
            peer.answer("/voiced/help", answer)

    def _agents(self, peer: Peer, args: Sequence[Argument]) -> None:
        none(args)
        peer.answer("/voiced/agents", tuple(self._surface.agents()))

    def _forget(self, peer: Peer, args: Sequence[Argument]) -> None:
        (address,) = words(args, 1, "takes an address, as /voice_agent/par/Volume or /voice_agent")
        _begun(address)
        agent = address[1:]
        if agent in self._surface.agents():
            for page in self._surface.pages(agent):
                for name in self._surface.names(agent, page):
                    row = self._surface.row(agent, page, name)
                    if row is not None and row.stored and row.writable and row.persists:
                        self._surface.forget(agent, page, name)
            return
        at = resolve(self._surface, address)
        if not isinstance(at, AtParameter) or at.child:
            raise Usage(f"{address[:64]!r} is no parameter and no agent")
        row = self._surface.row(at.agent, at.page, at.name)
        if row is None or not (row.stored and row.writable and row.persists):
            raise Usage(f"{at.name} is not kept: there is nothing to forget")
        self._surface.forget(at.agent, at.page, at.name)

    def _play(self, peer: Peer, args: Sequence[Argument]) -> None:
        agent, path = words(args, 2, "takes an agent and the path of a wav file")
        refusal = self._surface.play_file(agent, path)
        if refusal is not None:
            self._replies.refusal(peer, "/voiced/audio/play", refusal)

    def _bindings(self, peer: Peer, args: Sequence[Argument]) -> None:
        none(args)
        for one in self._surface.midi_bindings():
            peer.answer("/voiced/midi/binding", (one.port, one.message, one.address, one.number))

    def _ports(self, peer: Peer, args: Sequence[Argument]) -> None:
        none(args)
        peer.answer("/voiced/midi/ports", tuple(self._surface.midi_ports()))

    # --- words with one

    def _mute(self, peer: Peer, args: Sequence[Argument]) -> None:
        if len(args) > 1:
            raise Usage("takes 1 or 0")
        if args:
            self._surface.mute(whole(args[0], "it", 0, 1) == 1)
        peer.answer("/voiced/mute", (int(self._surface.muted()),))

    def _input(self, peer: Peer, args: Sequence[Argument]) -> None:
        self._device(peer, "input", args)

    def _output(self, peer: Peer, args: Sequence[Argument]) -> None:
        self._device(peer, "output", args)

    def _device(self, peer: Peer, direction: str, args: Sequence[Argument]) -> None:
        name = words(args, 1, "takes a device's name, or part of it")[0] if args else None
        answer = self._surface.audio_device(direction, name)
        address = f"/voiced/audio/{direction}"
        if isinstance(answer, Refusal):
            self._replies.refusal(peer, address, answer)
        else:
            peer.answer(address, (answer,))

    # --- who is sent what

    def _replyport(self, peer: Peer, args: Sequence[Argument]) -> None:
        if len(args) > 1:
            raise Usage("takes a port")
        if args:
            port = whole(args[0], "the port", 1, 65535)
            if peer.stream:
                raise Usage("answers to a TCP connection go back on it")
            peer.destination = (peer.ip, port)
        peer.answer("/voiced/replyport", (peer.destination[1],))

    def _shell(self, peer: Peer, args: Sequence[Argument]) -> None:
        none(args)
        if not peer.stream:
            raise Usage("is said on a TCP connection")
        peer.be_shell()

    def _subscribe(self, peer: Peer, args: Sequence[Argument]) -> None:
        usage = "takes [port] [pattern] [lease in s] [flat or bundle]"
        rest = list(args)
        port: int | None = None
        pattern, lease, flat = "/*", DEFAULT_LEASE_S, False
        if rest and not isinstance(rest[0], str):
            port = whole(rest.pop(0), "the port", 1, 65535)
        if rest and isinstance(rest[0], str) and rest[0].startswith("/"):
            pattern = rest[0]
            rest.pop(0)
        if rest and not isinstance(rest[0], str):
            lease = whole(rest.pop(0), "the lease", 0, MAX_LEASE_S)
        if rest and rest[0] in ("flat", "bundle"):
            flat = rest.pop(0) == "flat"
        if rest:
            raise Usage(usage)
        target = self._listeners.subscribe(
            peer, port, pattern, lease, flat, self._now(), time.time()
        )
        if isinstance(target, Refusal):
            self._replies.refusal(peer, "/voiced/subscribe", target)
            return
        self._keep(self._listeners.saved())
        peer.answer(
            "/voiced/subscribed",
            (target.destination[0], target.destination[1], pattern, lease),
        )
        now = self._now()
        for_target = target

        def tell(address: str, args: OscArgs) -> None:
            self._listeners.tell_one(for_target, address, args, now)

        self.dump(target.destination, pattern, tell)

    def _unsubscribe(self, peer: Peer, args: Sequence[Argument]) -> None:
        if len(args) > 1:
            raise Usage("takes a port")
        destination = peer.destination
        if args:
            destination = (peer.ip, whole(args[0], "the port", 1, 65535))
        self._listeners.unsubscribe(destination)
        self._keep(self._listeners.saved())
        peer.answer("/voiced/unsubscribed", (destination[1],))

    def _targets(self, peer: Peer, args: Sequence[Argument]) -> None:
        none(args)
        for target in self._listeners.all():
            host, port = target.destination
            kind = "config" if target.configured else f"lease {target.lease_s}"
            peer.answer("/voiced/target", (host, port, " ".join(target.send_patterns), kind))

    # --- everything at once

    def _dump(self, peer: Peer, args: Sequence[Argument]) -> None:
        pattern = "/*"
        if args:
            (pattern,) = words(args, 1, "takes a pattern, as /*/par/*")
        if not self.dump(peer.destination, pattern, peer.answer):
            self._replies.refuse(peer, "/voiced/dump", "busy", "too many dumps are under way")

    def dump(
        self, receiver: Destination, pattern: str, tell: Callable[[str, OscArgs], None]
    ) -> bool:
        """Begin to tell every readable address that matches; False where too many are under way.

        Raises:
            PacketError: The pattern is none.
        """
        matcher = Pattern(pattern, crossing=True)
        return self._pacer.add(receiver, self._dump_steps(matcher, tell))

    def _dump_steps(self, pattern: Pattern, tell: Callable[[str, OscArgs], None]) -> Iterator[None]:
        count = 0
        if pattern.matches("/voiced/mute"):
            tell("/voiced/mute", (int(self._surface.muted()),))
            count += 1
        for at in self._readable():
            message = self._reading(at) if pattern.matches(at.address) else None
            if message is not None:
                tell(*message)
                count += 1
            yield
        tell("/voiced/dump/done", (count,))
        yield

    def _reading(self, at: AtParameter | AtSignal) -> tuple[str, OscArgs] | None:
        if isinstance(at, AtParameter):
            return self._values.read(at)
        value = self._surface.signals(at.agent).get(at.channel)
        return None if value is None else (at.address, (float(value),))

    def _readable(self) -> Iterator[AtParameter | AtSignal]:
        for agent in tuple(self._surface.agents()):
            for page in tuple(self._surface.pages(agent)):
                for name in tuple(self._surface.names(agent, page)):
                    row = self._surface.row(agent, page, name)
                    if row is not None and row.kind is not Kind.PULSE:
                        yield AtParameter(agent, page, name)
            for channel in tuple(self._surface.signals(agent)):
                yield AtSignal(agent, channel)

    # --- an agent's words

    def act_agent(self, peer: Peer, at: AtAgent, args: Sequence[Argument]) -> None:
        """Act on say, note, conv/get and the words that come later."""
        address = f"/{at.agent}/{at.word}"
        if at.entry.later:
            self._replies.refuse(peer, address, "later", at.entry.later)
            return
        try:
            match at.word:
                case "say" | "note":
                    self._speech(peer, at, address, args)
                case "conv/get":
                    self._conversation(peer, at.agent, args)
                case word if word.startswith("tool/"):
                    self._tools.act(peer, at, args)
                case _:
                    self._replies.refuse(peer, address, "no_effect", f"{address} does nothing")
        except Usage as usage:
            self._replies.refuse(peer, address, "bad_type", f"{address}: {usage}")

    def _speech(self, peer: Peer, at: AtAgent, address: str, args: Sequence[Argument]) -> None:
        (text,) = words(args, 1, "takes one text")
        refusal = self._values.too_long(peer, args)
        if refusal is not None:
            self._replies.refusal(peer, address, refusal)
            return
        if not text.strip():
            self._replies.refuse(peer, address, "bad_value", f"{address} takes a text with words")
            return
        if not self._values.take(peer, at.agent, at.word, address):
            return
        kind = SayText if at.word == "say" else NoteText
        self._surface.put(at.agent, kind(text=text, origin=peer.origin))

    def _conversation(self, peer: Peer, agent: str, args: Sequence[Argument]) -> None:
        if len(args) > 1:
            raise Usage("takes how many rows")
        count = whole(args[0], "the count", 0, 100_000) if args else _ROWS
        rows = tuple(self._surface.rows(agent))[-count:] if count else ()

        def steps() -> Iterator[None]:
            for row in rows:
                peer.answer(f"/{agent}/conv/row", row_args(row))
                yield
            peer.answer(f"/{agent}/conv/done", (len(rows),))
            yield

        if not self._pacer.add(peer.destination, steps()):
            self._replies.refuse(
                peer, f"/{agent}/conv/get", "busy", "too many answers are under way"
            )


def _begun(address: str) -> None:
    """Refuse what is no address without repeating it: it may be anything, a key too."""
    if not address.startswith("/"):
        raise Usage("an address begins with /, as /voice_agent/par/Volume")
