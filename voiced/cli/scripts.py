"""What `voiced check` says of an agent's Python file, and of the tools that wait for approval.

The file is read and never run: what it does belongs to the show.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from voiced.cli.finding import Finding, bad, good, note
from voiced.control.config import AgentConfig, Config
from voiced.control.config.values import first_values
from voiced.mind.parameters import PAR
from voiced.parameters.coercion import nearest
from voiced.scripts.script import ScriptError, compiled, read


def findings(config: Config, folder: Path) -> Iterator[Finding]:
    """Yield whether each agent's file can be read, and which names in tool_confirm are nobody's."""
    for agent in config.agent:
        named = str(first_values(config, agent.name, folder).get((PAR, "Callbackdat"), ""))
        offered: set[str] = set()
        if named:
            path = Path(named)
            try:
                source = read(path)
                compiled(path, source)
            except ScriptError as error:
                fix = f"mend it; the agent {agent.name} has no callbacks before"
                yield bad("callbacks", str(error), fix)
                continue
            else:
                offered.update(_tools(ast.parse(source)))
                yield good("callbacks", f"{agent.name}: {path}")
        yield from _confirmed(agent, offered)


def _tools(tree: ast.Module) -> Iterator[str]:
    """Yield the names of the functions that the file marks with @tool."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for mark in node.decorator_list:
            called = mark.func if isinstance(mark, ast.Call) else mark
            if isinstance(called, ast.Name) and called.id == "tool":
                words = mark.keywords if isinstance(mark, ast.Call) else []
                given = [word.value for word in words if word.arg == "name"]
                named = [str(one.value) for one in given if isinstance(one, ast.Constant)]
                yield named[0] if named else node.name


def _confirmed(agent: AgentConfig, offered: set[str]) -> Iterator[Finding]:
    """Yield each name of tool_confirm that would make no tool known here wait."""
    known = {tool.name for tool in agent.tool} | offered
    known |= {one.prefix + name for one in agent.mcp for name in one.allow}
    # What a server of "*" brings is not known before it runs; a slip of the hand is still seen.
    open_ended = any("*" in one.allow for one in agent.mcp)
    for name in agent.tool_confirm:
        if name in known | {"*", "end_conversation", "output_text_content"}:
            continue
        if nearest(name, known) or not open_ended:
            yield note(
                "tools",
                f"{agent.name}: tool_confirm names {name}, which neither this file nor Callbackdat "
                f"declares: nothing waits for approval by it.{nearest(name, known)}",
                "mend the name, unless a patch registers that tool",
            )
