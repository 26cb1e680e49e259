"""Tool calls, from the model's wish to the result it is given: one path, and an answer to each.

    asked -> (waits for approval) -> runs at its executor -> answered

Every call leaves a row `tool_call` and exactly one row `tool_result` with the same call_id. The leg
that called is told the result once; where another leg has taken its place, the result is kept for
the same call made again, since a turn that was not answered is put to the new leg, and the new leg
is told it in words.

A model that calls more than the rate allows is refused once a minute, and may answer without tools.
Its calls after that are held back, unanswered: each answer would bring another reply, which costs,
and another call.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from voiced.messages.network import (
    Note,
    ToolCall,
    ToolCancelled,
    ToolDeclaration,
    ToolResult,
    UpdateLeg,
)
from voiced.messages.tools import CUT, LONGEST_RESULT
from voiced.mind import schema as schemas
from voiced.mind import toolbox, watch
from voiced.mind.calls import Call, CallState, Finished, Over
from voiced.mind.effects import DropCall, RunTool, ShowText
from voiced.mind.inputs import (
    DecideTool,
    ExecutorGone,
    Origin,
    Press,
    RegisterTool,
    SetTools,
    Tool,
    ToolAnswer,
    ToolProgress,
    UnregisterTool,
)
from voiced.mind.session import SECOND
from voiced.mind.state import AgentState, Session

CLOSING_S = 30.0
"""The closing words of a reply that is still running have so long to end."""
GOODBYE_S = 5.0
"""The closing words have so long to begin behind a reply that only called."""
MOST_PENDING = 16
MOST_HELD = 256
"""Calls beyond the rate that are kept to be answered later."""
KEPT_S = 60.0
"""A result that came too late for its leg answers the same call of the next one for so long."""
REMEMBERED = 64
"""Call ids that are over and still known."""

NO_TOOLS = "there is no such tool here; answer without it"
GOODBYE = "the conversation ends after your closing words"
SHOWN = "it is shown; do not read it aloud"
STARTED = "done"
LATER = "this service takes other tools with its next connection; Restart brings it now"
DENIED = "the operator denied this call; go on without it"
UNAPPROVED = "nobody approved this call in time; go on without it"
WITHDRAWN = "this tool is not offered any more; go on without it"
CANCELLED = "cancelled"
EXCHANGED = "the connection was exchanged"
TOO_MANY = "too many tool calls in one minute; answer without tools for now"
TOO_MANY_PENDING = "too many tool calls wait for their results; wait for those"
_NOBODYS = Tool(name="", description="", schema="{}", executor=Origin(kind="mind"))
"""Stands for the tool of a call that never runs."""


# --- what legs are told of


def declare(s: AgentState) -> list[ToolDeclaration]:
    """Return the tools for a leg that is being opened, and remember what it knows."""
    s.calls.declared = _declarations(s)
    return s.calls.declared


def _declarations(s: AgentState) -> list[ToolDeclaration]:
    found = toolbox.declarations(s.toolbox, s.parameters)
    if _throttled_until(s) is None:
        return found
    # The service is told at once that such a tool has started, and that answer too brings a reply.
    return [msgspec.structs.replace(each, blocking=True) for each in found]


def _throttled_until(s: AgentState) -> int | None:
    """Return when the model may again call tools that it does not wait for, ns; None = it may."""
    changes = s.card is not None and s.card.updates_tools
    return s.calls.rate.held_until(s.now.mono_ns) if changes else None


def session_opened(s: AgentState) -> None:
    """Tell of slots that name no tool: a slip of the pen, or a patch that is not there yet."""
    for sentence in toolbox.unknown_slots(s.toolbox, s.parameters):
        s.status("tools", sentence)


def tell_leg(s: AgentState) -> bool:
    """Tell an open leg of tools that came, went or changed."""
    known = s.calls.declared
    if not s.leg_open or _declarations(s) == known:
        return False
    if s.card is not None and not s.card.updates_tools:
        before, now = ({tool.name for tool in tools} for tools in (known, declare(s)))
        changed = ", ".join(sorted(before ^ now)) or "their modes"
        s.status("pending", f"{changed}: {LATER}")
        return True
    s.send(UpdateLeg(agent=s.name, leg=s.leg, parameters={}, tools=declare(s)))
    return True


def register(s: AgentState, event: RegisterTool) -> None:
    """An executor offers a tool."""
    before = s.toolbox.find(event.tool.name)
    code, sentence = s.toolbox.register(event.tool)
    if code:
        s.refuse(event.origin, "tool/register", code, sentence)
    elif event.tool != before:  # A patch may say it in every frame.
        s.log("info", f"= tool {event.tool.name} is offered by {event.origin.id}")


def unregister(s: AgentState, event: UnregisterTool) -> None:
    """An executor takes a tool back; calls that run are still answered."""
    tool = s.toolbox.find(event.name)
    if tool is None or tool.executor.kind == "config":
        sentence = f"no executor has registered a tool {event.name[:64]!r}"
        s.refuse(event.origin, "tool/unregister", "bad_value", sentence)
    elif toolbox.host_of(tool.executor) != toolbox.host_of(event.origin):
        sentence = f"{event.name} was registered by {tool.executor.id}, which alone takes it back"
        s.refuse(event.origin, "tool/unregister", "denied", sentence)
    else:
        s.toolbox.unregister(event.name)


def configure(s: AgentState, event: SetTools) -> None:
    """The configuration's part was read again."""
    s.toolbox.settings = event.settings


def executor_gone(s: AgentState, event: ExecutorGone) -> None:
    """Nobody is there any more: the model is told at once, and of a closed connection's tools."""
    if event.for_good:
        for tool in s.toolbox.gone(event.origin):
            s.log("warning", f"! tool {tool.name} is gone with {event.origin.id}")
    for call in s.calls.in_state(CallState.RUNNING):
        if call.tool.executor == event.origin:
            _fail(s, call, "gone", f"{call.name} cannot be reached; go on without it")


# --- the model calls


def call(s: AgentState, session: Session, event: ToolCall) -> None:
    """Take a call of the model: run it, let it wait for approval, or answer why not."""
    if not s.leg_open or s.calls.known(event.leg, event.call_id):
        s.log("debug", f"< tool call {event.call_id} came twice, or too late")
        return
    s.callback("onToolCall", event.call_id, event.name, event.arguments)
    message = f"{event.name}({event.arguments})"
    s.emit(
        *s.transcript.add(
            event.leg, "tool", "tool_call", message, s.now, call_id=event.call_id, name=event.name
        )
    )
    match event.name:
        case toolbox.END_CONVERSATION if s.parameters.flag("Allowendconversation"):
            _end_conversation(s, session, event)
        case _ if not s.calls.rate.take(s.now.mono_ns, s.toolbox.settings.rate):
            _too_many(s, event)
        case toolbox.OUTPUT_TEXT if s.parameters.flag("Outputtext"):
            _output_text(s, event)
        case _:
            _call_tool(s, event)
    s.reply.words_last = False


def _end_conversation(s: AgentState, session: Session, event: ToolCall) -> None:
    said = s.reply.busy and s.reply.words_last
    if said or session.said_goodbye:
        # A result would be answered: the visitor would hear another goodbye.
        _note_answer(s, event, ok=True, result=GOODBYE)
    else:
        _answer(s, event, ok=True, result=GOODBYE)
    if not session.closing:
        session.closing, session.said_goodbye, session.awaits_goodbye = event.name, said, not said
        session.closing_by = s.after(CLOSING_S if s.reply.running else GOODBYE_S)


def _output_text(s: AgentState, event: ToolCall) -> None:
    given, problem = schemas.arguments(toolbox.OUTPUT_SCHEMA, event.arguments)
    if problem:
        _answer(s, event, ok=False, result=problem)
        return
    text = str(given["text"])
    s.emit(ShowText(text=text))
    s.emit(*s.transcript.add(event.leg, "assistant", "text", text, s.now, shown=True))
    _answer(s, event, ok=True, result=SHOWN)


def _call_tool(s: AgentState, event: ToolCall) -> None:
    tool = s.toolbox.find(event.name)
    mode = toolbox.DISABLED if tool is None else toolbox.mode_of(tool, s.parameters)
    blocking = mode != toolbox.NONBLOCKING
    if blocking:
        _reply_waits(s)
    if tool is None or mode == toolbox.DISABLED:
        _refuse(s, event, blocking, NO_TOOLS)
        return
    schema = s.toolbox.schema(tool)
    given, problem = schemas.arguments(schema, event.arguments)
    if problem:
        _refuse(s, event, blocking, f"the arguments do not fit: {problem}")
        return
    asked = Call(
        call_id=event.call_id,
        leg=event.leg,
        asked_as=event.call_id,
        name=event.name,
        tool=tool,
        blocking=blocking,
        arguments=msgspec.json.encode(given, order="sorted").decode(),
        values=schemas.in_order(schema, given),
        since=s.now.mono_ns,
    )
    if _taken_up(s, asked):
        return
    if len(s.calls.pending) >= MOST_PENDING:
        _refuse(s, event, blocking, TOO_MANY_PENDING)
    else:
        s.reply.called |= not blocking
        _keep(s, asked)
        if s.toolbox.confirms(tool):
            what = _shown(asked)
            s.status("approval", f"{what} waits for approval: Approvetools or Denytools")
        else:
            _run(s, asked)


def _reply_waits(s: AgentState) -> None:
    """The model waits for a result before it goes on."""
    s.reply.calls = s.reply.running and _answers_results(s)
    watch.paused(s)


def _keep(s: AgentState, asked: Call) -> None:
    """Keep a call until it has its result."""
    # An executor still at work for an older leg may have been given the same id.
    while asked.asked_as in s.calls.pending:
        asked.asked_as += "'"
    s.calls.pending[asked.asked_as] = asked


def _too_many(s: AgentState, event: ToolCall) -> None:
    """Refuse a call beyond the rate: at once where it is the first of a minute."""
    tool, until = s.toolbox.find(event.name), s.calls.rate.held_until(s.now.mono_ns)
    blocking = tool is None or toolbox.mode_of(tool, s.parameters) != toolbox.NONBLOCKING
    if blocking:
        _reply_waits(s)
    if until is None:
        _tell_rate(s)
        _refuse(s, event, blocking, TOO_MANY)
        return
    if len(s.calls.pending) >= MOST_HELD:
        # Never answered: whoever speaks next gives it up, and the model goes on from there.
        _note_answer(s, event, ok=False, result=TOO_MANY)
        return
    held = Call(
        call_id=event.call_id,
        leg=event.leg,
        asked_as=event.call_id,
        name=event.name,
        tool=_NOBODYS,
        blocking=blocking,
        arguments="",
        values=(),
        since=s.now.mono_ns,
        state=CallState.HELD,
        held_until=until,
    )
    _keep(s, held)


def _tell_rate(s: AgentState) -> None:
    """Tell the operator, once a minute, that the model is refused."""
    if s.calls.rate.refuse(s.now.mono_ns):
        s.error(
            "tools", "rate",
            f"the model calls more than {s.toolbox.settings.rate} tools a minute: it is refused"
            " more (tool_rate)",
        )  # fmt: skip


def _run(s: AgentState, call: Call) -> None:
    call.state, call.since = CallState.RUNNING, s.now.mono_ns
    s.emit(
        RunTool(
            executor=call.tool.executor,
            call_id=call.asked_as,
            name=call.name,
            arguments=call.arguments,
            values=call.values,
        )
    )
    if not call.tool.answers:
        _finish(s, call, ok=True, result=STARTED)


def _taken_up(s: AgentState, asked: Call) -> bool:
    """A call that an older leg made already: it is not run twice."""
    done = s.calls.finished.pop((asked.name, asked.arguments), None)
    if done is not None and s.now.mono_ns < done.until:
        _finish(s, asked, ok=done.ok, result=done.result)
        return True
    for running in s.calls.pending.values():
        same = (running.name, running.arguments) == (asked.name, asked.arguments)
        if same and running.leg < asked.leg:
            _close_row(s, running, ok=False, result=f"asked again as {asked.call_id}")
            running.call_id, running.leg = asked.call_id, asked.leg
            running.blocking = asked.blocking
            return True
    return False


# --- answers


def answered(s: AgentState, event: ToolAnswer) -> None:
    """An executor brings a result."""
    call = _asked(s, event.call_id, event.origin, "tool/result" if event.ok else "tool/error")
    if call is not None:
        _finish(s, call, ok=event.ok, result=event.result)


def progress(s: AgentState, event: ToolProgress) -> None:
    """An executor says that it is still at work."""
    call = _asked(s, event.call_id, event.origin, "tool/progress")
    if call is not None:
        call.since = s.now.mono_ns


def _asked(s: AgentState, call_id: str, origin: Origin, address: str) -> Call | None:
    """Return the call that an executor speaks of; refuse one that is not its own."""
    call, shown = s.calls.pending.get(call_id), call_id[:64]
    if call is None or call.state is CallState.HELD:
        over = s.calls.over.get(call_id)
        if over is None:
            s.refuse(origin, address, "bad_value", f"there is no tool call {shown!r}")
        else:
            s.refuse(origin, address, "no_effect", f"the call {shown} is over: {over.why}")
        return None
    if call.state is CallState.WAITING:
        s.refuse(origin, address, "denied", f"the call {shown} waits for approval")
        return None
    executor = call.tool.executor
    if executor.kind != "config" and toolbox.host_of(executor) != toolbox.host_of(origin):
        s.refuse(origin, address, "denied", f"{call.name} is executed by {executor.id} alone")
        return None
    return call


def cancelled(s: AgentState, session: Session, event: ToolCancelled) -> None:
    """The model no longer wants a result: the executor is told, and nobody is answered."""
    call = s.calls.of(event.leg, event.call_id)
    if call is None:
        s.log("debug", f"< tool call {event.call_id} was cancelled; it is over already")
    else:
        _drop(s, call, CANCELLED)


def session_over(s: AgentState) -> None:
    """No leg will ask for these results any more."""
    for call in list(s.calls.pending.values()):
        _drop(s, call, "the session ended")


def leg_opened(s: AgentState) -> None:
    """Tell the new leg what tools of older legs have answered meanwhile."""
    for done in s.calls.finished.values():
        if not done.told and s.now.mono_ns < done.until:
            done.told = True
            s.send(Note(agent=s.name, leg=s.leg, text=done.note))


def decide(s: AgentState, event: DecideTool) -> None:
    """The operator approves or denies one call."""
    call = s.calls.pending.get(event.call_id)
    word = "tool/approve" if event.approve else "tool/deny"
    if call is None or call.state is not CallState.WAITING:
        sentence = f"no tool call {event.call_id[:64]!r} waits for approval; see Pendingtools"
        s.refuse(event.origin, word, "no_effect", sentence)
        return
    _decided(s, call, event.approve)


def decide_all(s: AgentState, command: Press, approve: bool) -> None:
    """Approvetools, Denytools."""
    waiting = s.calls.in_state(CallState.WAITING)
    if not waiting:
        s.refuse(command.origin, command.name, "no_effect", "no tool call waits for approval")
    for call in waiting:
        _decided(s, call, approve)


def _decided(s: AgentState, call: Call, approve: bool) -> None:
    if not approve:
        _finish(s, call, ok=False, result=DENIED)
    elif _is_offered(s, call):
        _run(s, call)
    else:
        _finish(s, call, ok=False, result=WITHDRAWN)


def _is_offered(s: AgentState, call: Call) -> bool:
    """Whether what the model asked for is there still, at the same executor, and not disabled."""
    tool = s.toolbox.find(call.name)
    if tool is None or tool.executor != call.tool.executor:
        return False
    return toolbox.mode_of(tool, s.parameters) != toolbox.DISABLED


def pending_text(s: AgentState) -> str:
    """Return the Pendingtools readout: `call_id name arguments` of each, one a line."""
    waiting = s.calls.in_state(CallState.WAITING)
    return "\n".join(_shown(call) for call in waiting)


def _shown(call: Call) -> str:
    """Return what the operator decides by."""
    return f"{call.asked_as} {call.name} {call.arguments[:200]}"


# --- time


def deadlines(s: AgentState) -> Iterator[int]:
    """Yield when a call's waiting is over."""
    for call in s.calls.pending.values():
        due = _due(s, call)
        if due is not None:
            yield due
    if (until := _throttled_until(s)) is not None:
        yield until


def _due(s: AgentState, call: Call) -> int | None:
    if call.state is CallState.HELD:
        return call.held_until
    if call.state is CallState.RUNNING:
        return call.since + int(s.toolbox.silence_s(call.tool) * SECOND)
    timeout = int(s.parameters.number("Approvaltimeout"))
    return call.since + timeout * SECOND if timeout else None


def overdue(s: AgentState) -> bool:
    """Give up the first call that has waited too long."""
    for call in s.calls.pending.values():
        due = _due(s, call)
        if due is None or s.now.mono_ns < due:
            continue
        if call.state is CallState.WAITING:
            _finish(s, call, ok=False, result=UNAPPROVED)
        elif call.state is CallState.HELD:
            _refuse_held(s, call)
        else:
            seconds = s.toolbox.silence_s(call.tool)
            _tell_dropped(s, call, late=True)
            _fail(
                s, call, "timeout",
                f"{call.name} did not answer within {seconds:g} s; go on without it",
            )  # fmt: skip
        return True
    return False


# --- how a call ends


def _refuse_held(s: AgentState, call: Call) -> None:
    if call.leg != s.leg or not s.leg_open:
        _drop(s, call, EXCHANGED)  # No later leg is to hear of it.
        return
    _tell_rate(s)
    _finish(s, call, ok=False, result=TOO_MANY)


def answer_follows(s: AgentState) -> bool:
    """Whether the reply that called has not said its answer yet."""
    owed = s.watch.owed is watch.Owed.RESULT and not s.reply.words
    return s.tool_holds or owed


def _fail(s: AgentState, call: Call, code: str, sentence: str) -> None:
    s.error("tools", code, sentence.partition(";")[0])
    _finish(s, call, ok=False, result=sentence)


def _tell_dropped(s: AgentState, call: Call, *, late: bool) -> None:
    s.emit(DropCall(executor=call.tool.executor, call_id=call.asked_as, name=call.name, late=late))


def _drop(s: AgentState, call: Call, why: str) -> None:
    """End a call whose result nobody wants."""
    if call.state is CallState.RUNNING:
        _tell_dropped(s, call, late=False)
    _close(s, call, why)
    _close_row(s, call, ok=False, result=why)
    watch.paused(s)


def _finish(s: AgentState, call: Call, *, ok: bool, result: str) -> None:
    """Give a result to whoever asked for it."""
    if len(result) > LONGEST_RESULT:
        result = result[: LONGEST_RESULT - len(CUT)] + CUT
    _close(s, call, "it was answered")
    _close_row(s, call, ok=ok, result=result)
    if call.leg == s.leg and s.leg_open:
        _send(s, call.leg, call.call_id, call.name, ok, result)
        watch.paused(s)
        if call.blocking:
            _waits_for_reply(s)
        return
    note = f"The tool {call.name}, called before with {call.arguments}, answered: {result}"
    done = Finished(ok=ok, result=result, note=note, until=s.after(KEPT_S), told=s.leg_open)
    kept = {k: v for k, v in s.calls.finished.items() if s.now.mono_ns < v.until}
    s.calls.finished = {**kept, (call.name, call.arguments): done}
    if s.leg_open:
        s.send(Note(agent=s.name, leg=s.leg, text=note))


def _close(s: AgentState, call: Call, why: str) -> None:
    s.calls.pending.pop(call.asked_as, None)
    for known in {call.asked_as, call.call_id}:
        _remember(s, known, call.leg, why)


def _remember(s: AgentState, call_id: str, leg: int, why: str) -> None:
    over = s.calls.over
    over.pop(call_id, None)
    over[call_id] = Over(leg=leg, why=why)
    while len(over) > REMEMBERED:
        del over[next(iter(over))]


def _waits_for_reply(s: AgentState) -> None:
    """The model goes on when it has every result that it waits for."""
    watch.paused(s)
    if s.tool_holds:
        return
    if _answers_results(s):
        s.waiting = True
        watch.result_sent(s)
    elif not s.reply.running:
        s.waiting = False


def _answers_results(s: AgentState) -> bool:
    return s.card is not None and s.card.answers_results


def _refuse(s: AgentState, event: ToolCall, blocking: bool, result: str) -> None:
    """Answer a call that is not run."""
    _answer(s, event, ok=False, result=result)
    if blocking:
        _waits_for_reply(s)


def _note_answer(s: AgentState, event: ToolCall, *, ok: bool, result: str) -> None:
    _remember(s, event.call_id, event.leg, "it was answered")
    _result_row(s, event.leg, event.call_id, event.name, ok, result)


def _answer(s: AgentState, event: ToolCall, *, ok: bool, result: str) -> None:
    _note_answer(s, event, ok=ok, result=result)
    _send(s, event.leg, event.call_id, event.name, ok, result)


def _send(s: AgentState, leg: int, call_id: str, name: str, ok: bool, result: str) -> None:
    s.send(ToolResult(agent=s.name, leg=leg, call_id=call_id, name=name, ok=ok, result=result))


def _close_row(s: AgentState, call: Call, *, ok: bool, result: str) -> None:
    _result_row(s, call.leg, call.call_id, call.name, ok, result)


def _result_row(s: AgentState, leg: int, call_id: str, name: str, ok: bool, result: str) -> None:
    s.emit(
        *s.transcript.add(
            leg, "tool", "tool_result", result, s.now, call_id=call_id, name=name, ok=ok
        )
    )
    s.callback("onToolResult", call_id, name, int(ok), result)
