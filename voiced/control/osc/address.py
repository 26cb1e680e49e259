"""From an address to what it means, and from a pattern to the addresses it means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

from voiced.control.osc.codec import PacketError
from voiced.control.osc.pattern import compiled, is_pattern
from voiced.control.osc.surface import Surface
from voiced.mind.parameters import ENDPOINT
from voiced.parameters import ADDRESSES, Address, Kind, Place, Row, nearest

CHILDREN: Final = ("norm", "toggle", "append", "clear", "default", "options", "set")
_DAEMON: Final = "/voiced/"
_AGENT: Final = "/<agent>/"

DAEMON_WORDS: Final = {
    a.address.removeprefix(_DAEMON): a for a in ADDRESSES if a.place is Place.DAEMON
}
AGENT_WORDS: Final = {
    a.address.removeprefix(_AGENT): a
    for a in ADDRESSES
    if a.place in (Place.AGENT, Place.CALLBACK) and "<" not in a.address.removeprefix(_AGENT)
}
_OUT_ONLY: Final = ("cb/", "caption/", "tool/do/")


class AtParameter(msgspec.Struct, frozen=True):
    """A parameter, or something below it."""

    agent: str
    page: str
    name: str
    child: str = ""

    @property
    def address(self) -> str:
        """The address it was found at."""
        return f"/{self.agent}/{self.page}/{self.name}" + (f"/{self.child}" if self.child else "")

    @property
    def parent(self) -> AtParameter:
        """The parameter itself."""
        return AtParameter(self.agent, self.page, self.name)


class AtSignal(msgspec.Struct, frozen=True):
    """A channel of an agent."""

    agent: str
    channel: str

    @property
    def address(self) -> str:
        """Its address."""
        return f"/{self.agent}/sig/{self.channel}"


class AtDaemon(msgspec.Struct, frozen=True):
    """One of the daemon's own words."""

    word: str
    entry: Address


class AtAgent(msgspec.Struct, frozen=True):
    """One of an agent's words beside its parameters: say, note, conv/get, tool/..."""

    agent: str
    word: str
    entry: Address


class OutOnly(msgspec.Struct, frozen=True):
    """Something voiced sends; sent here it does nothing."""

    daemon: bool
    """One of the daemon's: not even refused, or two daemons would refuse each other for ever."""


class Nowhere(msgspec.Struct, frozen=True):
    """No such address."""

    what: str
    word: str
    known: tuple[str, ...] = ()

    def sentence(self) -> str:
        """Return what is wrong and what may have been meant; takes a millisecond."""
        return f"{self.what}.{nearest(self.word, self.known)}"


Meaning: TypeAlias = AtParameter | AtSignal | AtDaemon | AtAgent | OutOnly | Nowhere


def resolve(surface: Surface, address: str) -> Meaning:
    """Return what a literal address means."""
    first, _, below = address[1:].partition("/")
    if first == "voiced":
        return _daemon(below)
    if first not in surface.agents():
        return Nowhere(f"there is no agent {first[:32]!r}", first, (*surface.agents(), "voiced"))
    page, _, rest = below.partition("/")
    if page in surface.pages(first):
        return _parameter(surface, first, page, rest)
    if page == "sig":
        channels = surface.signals(first)
        if rest in channels:
            return AtSignal(first, rest)
        return Nowhere(f"there is no signal {rest[:32]!r}", rest, tuple(channels))
    entry = AGENT_WORDS.get(below)
    if entry is None:
        if below.startswith(_OUT_ONLY):
            return OutOnly(daemon=False)
        if rest and not is_learned(surface, first):
            return Nowhere(
                "voiced is starting and does not know the providers' pages yet: send this again in "
                "a second", ""
            )  # fmt: skip
        known = tuple(w for w, a in AGENT_WORDS.items() if a.takes is not None)
        return Nowhere(f"there is no address {address[:64]!r}", below, (*known, "par", "sig"))
    if entry.takes is None:
        return OutOnly(daemon=False)
    return AtAgent(first, below, entry)


def is_learned(surface: Surface, agent: str) -> bool:
    """Whether the providers are known: before that there is the page of common names alone."""
    return len(surface.pages(agent)) > 1


def _daemon(below: str) -> Meaning:
    entry = DAEMON_WORDS.get(below)
    if entry is None:
        # What voiced answers with: a patch that echoes everything must not start a quarrel.
        if below in _ANSWERS or below.startswith("dump/"):
            return OutOnly(daemon=True)
        known = tuple(w for w, a in DAEMON_WORDS.items() if a.takes is not None)
        return Nowhere(f"there is no address {'/voiced/' + below[:48]!r}", below, known)
    return OutOnly(daemon=True) if entry.takes is None else AtDaemon(below, entry)


_ANSWERS: Final = frozenset(
    a.sends.split()[0].removeprefix(_DAEMON).rstrip(",")
    for a in ADDRESSES
    if a.place is Place.DAEMON and a.sends.startswith(_DAEMON)
) - frozenset(DAEMON_WORDS)


def _parameter(surface: Surface, agent: str, page: str, rest: str) -> Meaning:
    name, _, child = rest.partition("/")
    row = surface.row(agent, page, name)
    if row is None:
        if page != "par" and name == ENDPOINT:
            # The key goes there: no door may say where.
            return Nowhere(
                f"endpoint is set in the configuration file only, below [agent.{page}]", ""
            )
        where = "parameter" if page == "par" else f"parameter of {page}"
        return Nowhere(
            f"there is no {where} {name[:32]!r}", name, tuple(surface.names(agent, page))
        )
    if rest == name:
        return AtParameter(agent, page, name)
    if child not in CHILDREN or not has_child(row, child):
        known = tuple(c for c in CHILDREN if has_child(row, c))
        return Nowhere(f"{name} has no /{child[:32]}", child, known)
    return AtParameter(agent, page, name, child)


def has_child(row: Row, child: str) -> bool:
    """Whether a parameter has this child."""
    match child:
        case "norm":
            return row.has_norm
        case "toggle":
            return row.kind is Kind.TOGGLE and row.writable
        case "append" | "clear":
            return row.kind is Kind.STRING and row.writable and not row.secret
        case "default":
            return row.stored and row.writable and not row.money and not row.secret
        case "options":
            return row.kind is Kind.MENU or row.listed
        case "set":
            return row.secret
        case _:
            return False


def matching(surface: Surface, pattern: str) -> list[AtParameter | AtSignal]:
    """Return the parameters and signals that a pattern of three or four segments means.

    `*` and `?` stay within their segment.

    Raises:
        PacketError: The pattern is none.
    """
    segments = pattern[1:].split("/")
    if not 3 <= len(segments) <= 4 or "" in segments:
        raise PacketError(
            f"the pattern {pattern[:64]!r} means nothing: as /*/par/Volume or /voice_agent/sig/*"
        )
    found: list[AtParameter | AtSignal] = []
    for agent in _chosen(segments[0], surface.agents()):
        for page in _chosen(segments[1], surface.pages(agent)):
            for name in _chosen(segments[2], surface.names(agent, page)):
                row = surface.row(agent, page, name)
                if row is None:
                    continue
                if len(segments) == 3:
                    found.append(AtParameter(agent, page, name))
                else:
                    children = [c for c in CHILDREN if has_child(row, c)]
                    found += [
                        AtParameter(agent, page, name, child)
                        for child in _chosen(segments[3], children)
                    ]
        if len(segments) == 3 and _chosen(segments[1], ("sig",)):
            found += [
                AtSignal(agent, c) for c in _chosen(segments[2], tuple(surface.signals(agent)))
            ]
    return found


def _chosen(segment: str, names: Sequence[str]) -> Sequence[str]:
    if not is_pattern(segment):
        return [segment] if segment in names else []
    pattern = compiled(segment)
    return [name for name in names if pattern.matches(name)]
