"""Tools by OSC: whoever registers one executes it, and is called where it registered from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from voiced.control.osc.address import AtAgent
from voiced.control.osc.codec import Argument
from voiced.control.osc.pacing import Pacer
from voiced.control.osc.peer import Destination, Peer
from voiced.control.osc.replies import Replies
from voiced.control.osc.surface import Surface
from voiced.control.osc.usage import Usage, none, words
from voiced.mind.effects import DropCall, RunTool
from voiced.mind.inputs import (
    AgentInput,
    DecideTool,
    ExecutorGone,
    Origin,
    RegisterTool,
    Tool,
    ToolAnswer,
    ToolProgress,
    UnregisterTool,
)
from voiced.mind.toolbox import problem_of
from voiced.parameters import Refusal

_MANY: Final = 256
"""Executors remembered before those without a tool are forgotten."""


class ToolDoor:
    """Acts on /<agent>/tool/..., and calls executors.

    Args:
        surface: the rest of the daemon.
        replies: answers and refusals.
        pacer: paces long answers.
        too_long: why a text is too long for one datagram.
        soon: runs something after what runs now; effects are performed where no input may be given.
    """

    def __init__(
        self,
        surface: Surface,
        replies: Replies,
        pacer: Pacer,
        too_long: Callable[[Peer, Sequence[Argument]], Refusal | None],
        soon: Callable[[Callable[[], None]], object],
    ) -> None:
        self._surface, self._replies, self._pacer = surface, replies, pacer
        self._too_long, self._soon = too_long, soon
        self._executors: dict[Origin, Peer] = {}
        self._words: dict[str, Callable[[Peer, str, Sequence[Argument]], None]] = {
            "tool/register": self._register, "tool/unregister": self._unregister,
            "tool/list": self._list, "tool/result": self._result, "tool/error": self._error,
            "tool/progress": self._progress, "tool/approve": self._approve,
            "tool/deny": self._deny,
        }  # fmt: skip

    # --- in

    def act(self, peer: Peer, at: AtAgent, args: Sequence[Argument]) -> None:
        """Act on a message to an agent's tool words.

        Raises:
            Usage: the arguments are not what the address takes.
        """
        refusal = self._too_long(peer, args)
        if refusal is not None:
            self._replies.refusal(peer, f"/{at.agent}/{at.word}", refusal)
        else:
            self._words[at.word](peer, at.agent, args)

    def _register(self, peer: Peer, agent: str, args: Sequence[Argument]) -> None:
        usage = "takes a name, a description, a JSON schema of the arguments and perhaps a mode"
        name, description, schema, *mode = words(args, max(3, min(len(args), 4)), usage)
        tool = Tool(
            name=name,
            description=description,
            schema=schema or '{"type": "object", "properties": {}}',
            executor=peer.origin,
            mode=mode[0] if mode and mode[0] else "enabled",
        )
        self._executors[peer.origin] = peer
        self._surface.put(agent, RegisterTool(tool=tool, origin=peer.origin))
        # One that was refused is not there, but an older one of that name may be.
        taken = not problem_of(tool)
        for one in self._surface.tools(agent):
            if taken and (one.name, one.origin) == (name, peer.origin):
                peer.answer(f"/{agent}/tool/registered", (name, one.mode))
        if len(self._executors) > _MANY:
            self._forget_idle()

    def _forget_idle(self) -> None:
        busy = {t.origin for agent in self._surface.agents() for t in self._surface.tools(agent)}
        self._executors = {o: peer for o, peer in self._executors.items() if o in busy}

    def _unregister(self, peer: Peer, agent: str, args: Sequence[Argument]) -> None:
        (name,) = words(args, 1, "takes the name of a tool")
        known = any(one.name == name for one in self._surface.tools(agent))
        self._surface.put(agent, UnregisterTool(name=name, origin=peer.origin))
        if known and not any(one.name == name for one in self._surface.tools(agent)):
            peer.answer(f"/{agent}/tool/unregistered", (name,))

    def _list(self, peer: Peer, agent: str, args: Sequence[Argument]) -> None:
        none(args)
        tools = tuple(self._surface.tools(agent))

        def steps() -> Iterator[None]:
            for one in tools:
                executor = f"{one.origin.kind} {one.origin.id}".strip()
                peer.answer(
                    f"/{agent}/tool/listed",
                    (one.name, one.mode, executor, one.schema, one.description),
                )
                yield
            peer.answer(f"/{agent}/tool/list/done", (len(tools),))
            yield

        if not self._pacer.add(peer.destination, steps()):
            self._replies.refuse(
                peer, f"/{agent}/tool/list", "busy", "too many answers are under way"
            )

    def _result(self, peer: Peer, agent: str, args: Sequence[Argument]) -> None:
        call_id, text = _answer(args, "takes a call_id and a result", "done")
        self._put(agent, ToolAnswer(call_id=call_id, ok=True, result=text, origin=peer.origin))

    def _error(self, peer: Peer, agent: str, args: Sequence[Argument]) -> None:
        call_id, text = _answer(args, "takes a call_id and what went wrong", "it failed")
        self._put(agent, ToolAnswer(call_id=call_id, ok=False, result=text, origin=peer.origin))

    def _progress(self, peer: Peer, agent: str, args: Sequence[Argument]) -> None:
        call_id, text = _answer(args, "takes a call_id and perhaps a text", "")
        self._put(agent, ToolProgress(call_id=call_id, text=text, origin=peer.origin))

    def _approve(self, peer: Peer, agent: str, args: Sequence[Argument]) -> None:
        self._decide(peer, agent, args, approve=True)

    def _deny(self, peer: Peer, agent: str, args: Sequence[Argument]) -> None:
        self._decide(peer, agent, args, approve=False)

    def _decide(self, peer: Peer, agent: str, args: Sequence[Argument], *, approve: bool) -> None:
        if len(args) != 1:
            raise Usage("takes a call_id, as Pendingtools tells it")
        self._put(agent, DecideTool(call_id=_text(args[0]), approve=approve, origin=peer.origin))

    def _put(self, agent: str, item: AgentInput) -> None:
        self._surface.put(agent, item)

    # --- out

    def perform(self, agent: str, effect: RunTool | DropCall) -> None:
        """Tell an executor what it is to do, or that it need not."""
        peer = self._executors.get(effect.executor)
        if peer is None:
            self._gone(effect.executor, for_good=False)
            return
        match effect:
            case RunTool():
                call = (effect.call_id, effect.name, effect.arguments)
                peer.answer(f"/{agent}/tool/call", call)
                peer.answer(f"/{agent}/tool/do/{effect.name}", (effect.call_id, *effect.values))
            case DropCall():
                word = "timeout" if effect.late else "cancelled"
                peer.answer(f"/{agent}/tool/{word}", (effect.call_id, effect.name))

    def refused(self, destination: Destination) -> None:
        """Note that nobody listens at a destination: calls sent there are answered at once."""
        for origin, peer in self._executors.items():
            if peer.destination == destination and not peer.stream:
                self._gone(origin, for_good=False)

    def closed(self, peer: Peer) -> None:
        """Note that a connection is closed: what it offered is gone with it."""
        for origin in [o for o, known in self._executors.items() if known is peer]:
            del self._executors[origin]
            self._gone(origin, for_good=True)

    def _gone(self, origin: Origin, *, for_good: bool) -> None:
        def tell() -> None:
            for agent in self._surface.agents():
                self._surface.put(agent, ExecutorGone(origin=origin, for_good=for_good))

        self._soon(tell)


def _answer(args: Sequence[Argument], usage: str, otherwise: str) -> tuple[str, str]:
    """Return a call id and a text; patches without JSON send numbers, or the id alone."""
    if not 1 <= len(args) <= 2:
        raise Usage(usage)
    return _text(args[0]), _text(args[1]) if len(args) == 2 else otherwise


def _text(argument: Argument) -> str:
    match argument:
        case str():
            return argument
        case bool():
            return str(int(argument))
        case int():
            return str(argument)
        case float():
            return f"{argument:g}"
        case _:
            raise Usage("takes texts and numbers")
