"""The seat of tools: what the model may call, and an answer to every call, so that none hangs.

Only `end_conversation` works; executors come later. Any other call is answered with a sentence
that says so.
"""

from __future__ import annotations

from voiced.messages.network import ToolCall, ToolDeclaration, ToolResult
from voiced.mind.state import HEARD_GRACE_S, AgentState, Session

END_CONVERSATION = "end_conversation"
CLOSING_S = 30.0
"""The closing words of a reply that is still running have so long to end."""
NO_TOOLS = "there is no such tool here; answer without it"
GOODBYE = "the conversation ends after your closing words"

_END_DECLARATION = ToolDeclaration(
    name=END_CONVERSATION,
    description="End this conversation. Say goodbye first, then call this.",
    schema='{"type": "object", "properties": {}, "required": []}',
)


def declarations(s: AgentState) -> list[ToolDeclaration]:
    """Return the tools that a leg is told of."""
    return [_END_DECLARATION] if s.parameters.flag("Allowendconversation") else []


def call(s: AgentState, session: Session, event: ToolCall) -> None:
    """Answer a call of the model, and write it down."""
    s.callback("onToolCall", event.call_id, event.name, event.arguments)
    message = f"{event.name}({event.arguments})"
    s.emit(
        *s.transcript.add(
            event.leg, "tool", "tool_call", message, s.now, call_id=event.call_id, name=event.name
        )
    )
    ends = event.name == END_CONVERSATION and s.parameters.flag("Allowendconversation")
    _answer(s, event, ends, GOODBYE if ends else NO_TOOLS)
    if ends and not session.closing:
        session.closing, session.awaits_goodbye = END_CONVERSATION, not s.reply.busy
        session.closing_by = s.after(CLOSING_S if s.reply.running else HEARD_GRACE_S)


def _answer(s: AgentState, event: ToolCall, ok: bool, result: str) -> None:
    s.send(
        ToolResult(
            agent=s.name,
            leg=event.leg,
            call_id=event.call_id,
            name=event.name,
            ok=ok,
            result=result,
        )
    )
    s.emit(
        *s.transcript.add(
            event.leg, "tool", "tool_result", result, s.now,
            call_id=event.call_id, name=event.name, ok=ok,
        )
    )  # fmt: skip
    s.callback("onToolResult", event.call_id, event.name, int(ok), result)
