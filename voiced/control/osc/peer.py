"""Who sent a packet, and how it is answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from voiced.control.osc.codec import MAX_TEXT, encode, split_text
from voiced.control.osc.limits import Window
from voiced.mind.inputs import Origin

Destination: TypeAlias = tuple[str, int]
"""IP address and port; a stream is its remote end."""
OscArgs: TypeAlias = Sequence[int | float | str | bool]

ERRORS_PER_S = 10
PATTERNS_PER_S = 50
"""A pattern may be answered with hundreds of messages."""
SHELL = "shell"
"""Kind of the origin that all shells of a host are."""
_TOLD = 256


class Peer:
    """One source of messages: a UDP address and port, or one TCP connection."""

    def __init__(
        self,
        ip: str,
        port: int,
        wire: Callable[[Destination, bytes], None],
        *,
        admin: bool,
        stream: bool = False,
    ) -> None:
        self.ip = ip
        self.stream = stream
        """TCP: texts come and go whole."""
        self.admin = admin
        self.origin = Origin("osc", f"{'tcp/' if stream else ''}{ip}:{port}")
        """Who writes; what it holds (Talk) is let go when its connection closes."""
        self.destination: Destination = (ip, port)
        """Where answers go; /voiced/replyport moves it."""
        self.errors = Window(ERRORS_PER_S, 1.0)
        self.patterns = Window(PATTERNS_PER_S, 1.0)
        self.highs: dict[str, float] = {}
        """Pulses held at 1, and when they were last seen there."""
        self._told: set[str] = set()
        self._wire = wire

    def be_shell(self) -> None:
        """Become the one holder that all shells of this host are: each lives for a moment only."""
        self.origin = Origin(SHELL, self.ip)

    def send(self, packet: bytes) -> None:
        """Send one packet to where this peer's answers go."""
        self._wire(self.destination, packet)

    def answer(self, address: str, args: OscArgs = ()) -> None:
        """Send one message, in parts where it is a long text over UDP."""
        for packet in packets(address, args, whole=self.stream):
            self.send(packet)

    def first_time(self, address: str) -> bool:
        """Whether this is the first time this is asked about `address`, as far as remembered."""
        if address in self._told:
            return False
        if len(self._told) >= _TOLD:
            self._told.clear()
        self._told.add(address)
        return True


def packets(address: str, args: OscArgs, *, whole: bool) -> list[bytes]:
    """Return a message encoded; `whole`, or with its text in parts where it is a long one.

    The first part stands where the text belongs, the others follow as /<agent>/conv/more: id,
    part, parts, text. The id is the row's, or for a parameter its address below the agent.
    """
    message = encode(address, args)
    if whole or len(message) <= MAX_TEXT:
        return [message]
    texts = [(len(a.encode("utf-8", "replace")), n) for n, a in enumerate(args)
             if isinstance(a, str)]  # fmt: skip
    _size, longest = max(texts)
    rest = [("{}" if n == 6 and address.endswith("/conv/row") else a) for n, a in enumerate(args)]
    rest[longest] = ""
    room = MAX_TEXT - len(encode(address, rest)) - 4
    if room < MAX_TEXT // 2:
        return [message]  # two long texts in one message: it goes whole, or not at all
    parts = split_text(str(args[longest]), room)
    rest[longest] = parts[0]
    agent = address.split("/", 2)[1]
    name = text_id(address, args)
    more = [
        encode(f"/{agent}/conv/more", (name, n, len(parts), part))
        for n, part in enumerate(parts)
        if n
    ]
    return [encode(address, rest), *more]


def text_id(address: str, args: OscArgs) -> str:
    """Return what the parts of a long text are called: its row's id, or its own address."""
    below = address.split("/", 2)[2]
    if below == "conv/row":
        return str(args[3])
    if below in ("cb/onUserText", "cb/onAssistantText"):
        return str(args[2])
    return below
