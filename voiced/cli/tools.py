"""What `voiced check` says of MCP servers and HTTP tools: packages, programs, keys."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

from voiced.cli.finding import Finding
from voiced.cli.finding import bad as _bad
from voiced.cli.finding import good as _good
from voiced.control.config import Config
from voiced.control.config.servers import Given, McpConfig
from voiced.control.keys import read_key
from voiced.control.tool_servers import INSTALL, PACKAGES
from voiced.tools.programs import NoProgram, program


def findings(config: Config, folder: Path) -> Iterator[Finding]:
    """Yield a line for each server and endpoint that the configuration names."""
    servers = [one for agent in config.agent for one in agent.mcp]
    tools = [tool for agent in config.agent for tool in agent.tool if tool.http is not None]
    if not servers and not tools:
        return
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        yield _bad("tools", f"{' and '.join(missing)} {are} not installed", INSTALL)
    for one in servers:
        flaws = [*_program(one, folder), *_keys(one.env, folder), *_keys(one.headers, folder)]
        yield from _lines(f"MCP server {one.name}", flaws)
    for tool in tools:
        assert tool.http is not None
        yield from _lines(f"{tool.name}: {tool.http.url}", list(_keys(tool.http.headers, folder)))


def _lines(what: str, flaws: list[tuple[str, str]]) -> Iterator[Finding]:
    if not flaws:
        yield _good("tools", what)
    for sentence, fix in flaws:
        yield _bad("tools", f"{what}: {sentence}", fix)


def _program(one: McpConfig, folder: Path) -> Iterator[tuple[str, str]]:
    if not one.command:
        return
    try:
        program(one.command, str(folder), os.environ.get("PATH", os.defpath))
    except NoProgram as error:
        yield error.what, error.fix


def _keys(given: Given, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield a flaw and its fix for each key that is not there."""
    for value in given.values():
        if isinstance(value, str):
            continue
        if value.variable and not os.environ.get(value.variable, "").strip():
            yield f"there is no variable {value.variable}", "set it where voiced is started"
        if value.file:
            path = folder / Path(value.file).expanduser()
            problems: list[str] = []
            if not read_key(path, "file", problems):
                yield (*problems, f"there is no key file {path}")[0], "write it, and chmod 600 it"
