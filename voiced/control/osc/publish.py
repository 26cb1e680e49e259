"""From what an agent wants told to the messages that tell it."""

from __future__ import annotations

import math
from collections.abc import Callable

from voiced.control.osc.codec import encode, encode_bundles
from voiced.control.osc.peer import OscArgs, Peer
from voiced.control.osc.replies import ERROR, Replies
from voiced.control.osc.surface import PAR, Surface
from voiced.control.osc.targets import Listeners, Target
from voiced.mind import effects
from voiced.mind.inputs import Origin
from voiced.parameters import ROWS, Kind, spread


def row_args(row: effects.Row) -> tuple[int | str, ...]:
    """Return a conversation row as the arguments of /conv/row."""
    return (
        row.index, row.role, row.message, row.id, row.timestamp, row.type, row.metadata,
        row.session_id,
    )  # fmt: skip


class Publisher:
    """Tells listeners what happens."""

    def __init__(
        self,
        surface: Surface,
        listeners: Listeners,
        replies: Replies,
        peer_of: Callable[[Origin], Peer | None],
        now: Callable[[], float],
    ) -> None:
        self._surface = surface
        self._listeners = listeners
        self._replies = replies
        self._peer_of = peer_of
        self._now = now
        self._last: dict[str, dict[str, float]] = {}
        """What each agent's signals were when they were last sent."""
        self.heard_frames: Callable[[str, str, int], None] = lambda agent, name, frames: None
        """Is told onAudioIn and onAudioOut as well."""
        self._counting: set[str] = set()
        """Agents whose Audioevents are on."""

    def tell(self, address: str, args: OscArgs, *, but: Peer | None = None) -> None:
        """Send a message to everybody who wants it."""
        self._listeners.tell(
            address, args, self._now(), but=None if but is None else but.destination
        )

    def perform(self, agent: str, effect: effects.AgentEffect) -> None:
        """Tell what an effect means; effects that mean nothing to a listener pass by."""
        match effect:
            case effects.Told():
                self._told(agent, effect)
            case effects.Callback():
                self.tell(f"/{agent}/cb/{effect.name}", effect.args)
            case effects.SignalNow():
                signals = self._surface.signals(agent)
                self._send_signals(agent, {c: signals[c] for c in effect.channels if c in signals})
            case effects.RowWritten():
                self.tell(f"/{agent}/conv/row", row_args(effect.row))
            case effects.RowRemoved():
                self.tell(f"/{agent}/conv/row", row_args(effect.row))
            case effects.RowsCleared():
                self.tell(f"/{agent}/conv/clear", ())
            case effects.Caption():
                self.tell(f"/{agent}/caption/{effect.who}", (effect.line,))
            case effects.ShowText():
                self.tell(f"/{agent}/text", (effect.text,))
            case effects.Refused():
                self._refused(agent, effect)
            case _:
                pass

    def _told(self, agent: str, told: effects.Told) -> None:
        row = self._surface.row(agent, told.page, told.name)
        if row is None or row.kind is Kind.PULSE:
            return
        address = f"/{agent}/{told.page}/{told.name}"
        args: OscArgs = spread(row, told.value)
        if row.secret:
            address, args = f"{address}/set", (int(told.value != ""),)
        sender = self._peer_of(told.origin)
        self.tell(address, args, but=sender)
        if sender is not None and told.adjusted:
            sender.answer(address, args)

    def _refused(self, agent: str, refused: effects.Refused) -> None:
        address = refused.name
        if not address.startswith("/"):
            below = f"{PAR}/{address}" if address in ROWS else address
            address = f"/{agent}/{below}"
        sender = self._peer_of(refused.origin)
        if sender is not None:
            self._replies.refuse(sender, address, refused.code, refused.sentence)
        else:
            self.tell(ERROR, (address, refused.code, refused.sentence))

    # --- signals

    def tick(self, agent: str, *, everything: bool) -> None:
        """Send an agent's signals: those that changed since they were last sent, or all."""
        signals = self._surface.signals(agent)
        last = self._last.setdefault(agent, {})
        self._send_signals(
            agent, {c: v for c, v in signals.items() if everything or last.get(c) != v}
        )
        if self._surface.value(agent, PAR, "Audioevents"):
            # Asked once before it counts: the first tick would tell what passed long ago.
            self._tell_frames(agent, fresh=agent not in self._counting)
            self._counting.add(agent)
        else:
            self._counting.discard(agent)

    def _tell_frames(self, agent: str, *, fresh: bool) -> None:
        passed = self._surface.passed(agent)
        for name, frames in zip(("onAudioIn", "onAudioOut"), passed, strict=True):
            if frames and not fresh:
                self.tell(f"/{agent}/cb/{name}", (frames,))
                self.heard_frames(agent, name, frames)

    def _send_signals(self, agent: str, channels: dict[str, float]) -> None:
        now = self._now()
        last = self._last.setdefault(agent, {})
        wanted: dict[int, tuple[Target, list[bytes]]] = {}
        for channel, value in channels.items():
            last[channel] = value
            if not math.isfinite(value):
                continue  # a number that is none never leaves; the channel keeps its last one
            address = f"/{agent}/sig/{channel}"
            targets = self._listeners.wanting(address)
            if targets:
                message = encode(address, (float(value),))
                for target in targets:
                    wanted.setdefault(id(target), (target, []))[1].append(message)
        for target, messages in wanted.values():
            for packet in messages if target.flat else encode_bundles(messages):
                target.send(packet, now)
