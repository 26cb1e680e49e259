"""Parameters by OSC: queries, writes, pulses and what lies below a parameter."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, assert_never

from voiced.control.osc.address import AtParameter, is_learned
from voiced.control.osc.codec import MAX_TEXT, Argument
from voiced.control.osc.limits import Recent, Window
from voiced.control.osc.peer import OscArgs, Peer
from voiced.control.osc.replies import Replies
from voiced.control.osc.settings import RatesConfig
from voiced.control.osc.surface import PAR, Surface
from voiced.mind.inputs import Press, Write
from voiced.parameters import (
    ROWS,
    Coerced,
    Kind,
    PulseEdge,
    Refusal,
    Row,
    Value,
    coerce,
    expand,
    from_norm,
    press,
    spread,
    to_norm,
)

APPEND: Final = "send the rest with /append, or by TCP"
"""What to do with a parameter's text that is too long for one datagram."""
REARM_S: Final = 1.0
"""A pulse held at 1 fires again after so long a silence."""
PULSES_PER_S: Final = 20
"""Of one pulse from one sender: nobody presses faster, and each costs the mind a millisecond.

Those that osc.rates counts are held back by that alone: words are sent by programs too."""
_DROP_IN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_COUNTED: Final = {"Connect": "connect", "Restart": "connect", "Sendtext": "sendtext"}


class Values:
    """Every parameter of every agent, as a door reads and writes it."""

    def __init__(
        self, surface: Surface, replies: Replies, rates: RatesConfig, now: Callable[[], float]
    ) -> None:
        self._surface = surface
        self._replies = replies
        self._now = now
        self.rates = rates
        self._pulses: Recent[tuple[str, str], Window] = Recent(
            1024, lambda _: Window(PULSES_PER_S, 1.0)
        )
        self._windows: Recent[tuple[str, str], Window] = Recent(
            1024, lambda key: Window(getattr(self.rates, key[1]), 60.0)
        )

    def take(self, peer: Peer, agent: str, what: str, address: str) -> bool:
        """Count one more `what` of an agent; refuse it where the minute is full."""
        window = self._windows[agent, what]
        window.count = getattr(self.rates, what)
        if window.take(self._now()):
            return True
        self._replies.refuse(
            peer, address, "rate",
            f"{address} was refused: {window.count} a minute are taken, see osc.rates",
            everyone=True,
        )  # fmt: skip
        return False

    # --- reading

    def read(self, at: AtParameter) -> tuple[str, OscArgs] | None:
        """Return the message that tells a parameter, None where there is nothing to tell."""
        row = self._surface.row(at.agent, at.page, at.name)
        if row is None or row.kind is Kind.PULSE:
            return None
        if row.secret:
            there = self._surface.has_secret(at.agent, at.page, at.name)
            return f"{at.parent.address}/set", (int(there),)
        if row.kind is Kind.COLOR:
            parts = [float(self._surface.value(at.agent, at.page, part)) for part in row.parts]
            return at.address, parts
        return at.address, spread(row, self._surface.value(at.agent, at.page, at.name))

    def ask(self, peer: Peer, at: AtParameter) -> None:
        """Answer a message without arguments that is no pulse."""
        row = self._surface.row(at.agent, at.page, at.name)
        if row is None:
            return
        match at.child:
            case "" | "set":
                message = self.read(at)
                if message is not None:
                    peer.answer(*message)
            case "norm":
                value = self._surface.value(at.agent, at.page, at.name)
                peer.answer(at.address, (to_norm(row, value),))
            case "options":
                options = self._surface.options(at.agent, at.page, at.name)
                peer.answer(at.address, tuple(options))
            case "toggle":
                self._put(peer, at, row, not self._surface.value(at.agent, at.page, at.name))
            case "clear":
                self._put(peer, at, row, "")
            case "default":
                self._put(peer, at, row, row.default)
            case _:
                self._replies.refuse(peer, at.address, "bad_type", f"{at.address} takes a text")

    # --- writing

    def write(self, peer: Peer, at: AtParameter, args: Sequence[Argument]) -> bool:
        """Act on a message with arguments; return whether a value was taken."""
        row = self._surface.row(at.agent, at.page, at.name)
        if row is None:
            self._replies.refuse(
                peer, at.address, "unknown_address", f"there is no parameter {at.name} any more"
            )
            return False
        refusal = self._barred(peer, at, row) or self.too_long(peer, args, APPEND)
        if refusal is not None:
            self._replies.refusal(peer, at.address, refusal)
            return False
        if row.kind is Kind.PULSE:
            self._pulse(peer, at, row, args)
            return True
        if at.child:
            return self._write_child(peer, at, row, args)
        wanted = expand(row, args, ROWS)
        if isinstance(wanted, Refusal):
            self._replies.refusal(peer, at.address, wanted)
            return False
        taken: list[tuple[Row, Coerced]] = []
        for part, arguments in wanted:
            coerced = self._coerce(at, part, arguments)
            if isinstance(coerced, Refusal):
                self._replies.refusal(peer, at.address, coerced)
                return False
            taken.append((part, coerced))
        for part, coerced in taken:
            self._store(peer, AtParameter(at.agent, at.page, part.name), part, coerced)
        return True

    def _barred(self, peer: Peer, at: AtParameter, row: Row) -> Refusal | None:
        if row.admin and not peer.admin and at.child != "options":
            return Refusal("denied", f"{row.name} may be set from this machine and osc.admin only")
        if row.kind is Kind.PULSE or row.writable or at.child in ("options", "set"):
            if at.child in ("options", "set", "toggle", "clear", "default"):
                return Refusal("bad_type", f"{at.address} takes no argument")
            return None
        if row.config_only:
            return Refusal("read_only", f"{row.name} is set in the configuration file only")
        return Refusal("read_only", f"{row.name} tells something; it cannot be set")

    @staticmethod
    def too_long(
        peer: Peer, args: Sequence[Argument], remedy: str = "send it by TCP"
    ) -> Refusal | None:
        """Return why a text is too long for one datagram, None where it is not."""
        longest = max((len(a) for a in args if isinstance(a, str | bytes)), default=0)
        if longest > MAX_TEXT and not peer.stream:
            return Refusal("too_long", f"a message takes {MAX_TEXT} bytes of text: {remedy}")
        return None

    def _unlearned(
        self, agent: str, args: Sequence[Argument], known: Sequence[str]
    ) -> tuple[str, ...]:
        """Return the name of a drop-in that is taken unseen: voiced starts and knows none yet."""
        if is_learned(self._surface, agent) or len(args) != 1 or not isinstance(args[0], str):
            return ()
        name = args[0]
        return (name,) if _DROP_IN.fullmatch(name) and name.lower() not in known else ()

    def _coerce(self, at: AtParameter, row: Row, args: Sequence[Argument]) -> Coerced | Refusal:
        options = None
        if row.kind is Kind.MENU or row.listed:
            options = self._surface.options(at.agent, at.page, row.name)
            if at.page == PAR and row.name == "Provider":
                options = (*options, *self._unlearned(at.agent, args, options))
        coerced = coerce(row, args, options)
        if isinstance(coerced, Coerced) and row.is_path(coerced.value):
            inside = self._surface.allowed_path(row, str(coerced.value))
            if isinstance(inside, Refusal):
                return inside
            return Coerced(inside, adjusted=inside != coerced.value)
        return coerced

    def _write_child(self, peer: Peer, at: AtParameter, row: Row, args: Sequence[Argument]) -> bool:
        coerced: Coerced | Refusal
        if at.child == "norm":
            coerced = from_norm(row, args)
        else:
            coerced = coerce(row, args)
            if isinstance(coerced, Coerced):
                stored = self._surface.value(at.agent, at.page, at.name)
                coerced = coerce(row, [f"{stored}{coerced.value}"])
        if isinstance(coerced, Refusal):
            self._replies.refusal(peer, at.address, coerced)
            return False
        self._store(peer, at, row, coerced)
        return True

    def _store(self, peer: Peer, at: AtParameter, row: Row, coerced: Coerced) -> None:
        self._put(peer, at, row, coerced.value)
        if coerced.adjusted and not row.secret:
            stored = self._surface.value(at.agent, at.page, at.name)
            if at.child == "norm":
                peer.answer(at.address, (to_norm(row, stored),))
            else:
                peer.answer(at.address, spread(row, stored))

    def _put(self, peer: Peer, at: AtParameter, row: Row, value: Value) -> None:
        if row.admin and not peer.admin:
            self._replies.refuse(
                peer, at.address, "denied",
                f"{row.name} may be set from this machine and osc.admin only",
            )  # fmt: skip
            return
        self._surface.put(
            at.agent, Write(name=row.name, value=value, origin=peer.origin, page=at.page)
        )
        if row.later:
            self._replies.later(peer, at.parent.address, row.later)

    # --- pulses

    def _pulse(self, peer: Peer, at: AtParameter, row: Row, args: Sequence[Argument]) -> None:
        meant = press(row, args)
        if isinstance(meant, Refusal):
            self._replies.refusal(peer, at.address, meant)
            return
        edge, text = meant
        now = self._now()
        match edge:
            case PulseEdge.LOW:
                peer.highs.pop(at.address, None)
                return
            case PulseEdge.HIGH:
                before = peer.highs.get(at.address)
                peer.highs[at.address] = now
                if before is not None and now - before < REARM_S:
                    return
            case PulseEdge.FIRE:
                pass
            case _:
                assert_never(edge)
        counted = _COUNTED.get(row.name) if at.page == PAR else None
        if counted is None and not self._pulses[peer.origin.id, at.address].take(now):
            self._replies.refuse(
                peer, at.address, "rate", f"{row.name} fires {PULSES_PER_S} times a second at most"
            )
            return
        if counted is not None and not self.take(peer, at.agent, counted, at.address):
            return
        # One that does nothing yet is refused by the mind, with the row's own sentence.
        self._surface.put(at.agent, Press(name=row.name, origin=peer.origin, text=text))
