"""What the model may call: tools by name, who executes each, and the mode the operator gave it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from voiced.messages.network import ToolDeclaration
from voiced.mind import schema as schemas
from voiced.mind.inputs import Origin, Tool, ToolSettings
from voiced.mind.parameters import Parameters
from voiced.parameters import nearest
from voiced.parameters.rows import TOOL_MODES, TOOL_SLOTS

MOST = 64
"""Tools of one agent: services bill what they are told of with every reply."""
LONGEST_DESCRIPTION = 2000
DISABLED, NONBLOCKING = "disabled", "enabled_nonblocking"

END_CONVERSATION = "end_conversation"
OUTPUT_TEXT = "output_text_content"
RESERVED = frozenset(
    {
        "web_search", "browse_page", "x_keyword_search", "x_semantic_search", "x_user_search",
        "x_thread_fetch", "collections_search", "file_search", "google_search", "hang_up",
    }
)  # fmt: skip
"""Names of what services execute by themselves: a tool of such a name breaks the first reply."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


class ShownTool(msgspec.Struct, frozen=True, kw_only=True):
    """One line of /tool/list."""

    name: str
    mode: str
    """The mode in force."""
    origin: Origin
    """Who executes it."""
    schema: str
    description: str


class Toolbox:
    """The tools of one agent: the configuration's, and those that executors have registered."""

    def __init__(self, settings: ToolSettings) -> None:
        self.settings = settings
        self._registered: dict[str, Tool] = {}
        self._schemas: dict[str, Mapping[str, Any]] = {}

    def all(self) -> list[Tool]:
        """Return every tool, the configuration's first."""
        return [*self.settings.tools, *self._registered.values()]

    def find(self, name: str) -> Tool | None:
        """Return a tool by its name."""
        return next((tool for tool in self.all() if tool.name == name), None)

    def schema(self, tool: Tool) -> Mapping[str, Any]:
        """Return a tool's schema, read."""
        if tool.schema not in self._schemas:
            if len(self._schemas) > 2 * MOST:
                self._schemas.clear()
            self._schemas[tool.schema] = schemas.read(tool.schema)
        return self._schemas[tool.schema]

    def register(self, tool: Tool) -> tuple[str, str]:
        """Take a tool; return a code and a sentence why not, "" and "" if it was taken."""
        problem = problem_of(tool)
        if problem:
            return "bad_value", problem
        if any(one.name == tool.name for one in self.settings.tools):
            return "denied", f"{tool.name} is a tool of the configuration: take another name"
        before = self._registered.get(tool.name)
        if before is not None and host_of(before.executor) != host_of(tool.executor):
            return "busy", f"{tool.name} is offered by {before.executor.id}: take another name"
        if before is None and len(self.all()) >= MOST:
            return "busy", f"there are {MOST} tools already: unregister one"
        self._registered[tool.name] = tool
        return "", ""

    def unregister(self, name: str) -> Tool | None:
        """Take a registered tool back; None if there is none of that name."""
        return self._registered.pop(name, None)

    def gone(self, executor: Origin) -> list[Tool]:
        """Drop everything that an executor offered."""
        lost = [tool for tool in self._registered.values() if tool.executor == executor]
        for tool in lost:
            del self._registered[tool.name]
        return lost

    def confirms(self, tool: Tool) -> bool:
        """Whether a call of it waits for approval."""
        named = self.settings.confirm
        return tool.confirm or tool.name in named or "*" in named

    def silence_s(self, tool: Tool) -> float:
        """Return for how long its executor may say nothing."""
        return tool.silence_s or self.settings.silence_s


def problem_of(tool: Tool) -> str:
    """Return what is wrong with a declaration, "" if nothing."""
    if not _NAME.fullmatch(tool.name):
        return (
            f"{tool.name[:64]!r} is no name for a tool: a letter or _, then at most 63 letters, "
            "digits, _ and -"
        )
    if tool.name in RESERVED or tool.name in (END_CONVERSATION, OUTPUT_TEXT):
        return f"{tool.name} is taken by voiced or by a voice service: take another name"
    if not tool.description.strip():
        return "a tool needs a description: the model chooses by it"
    if len(tool.description) > LONGEST_DESCRIPTION:
        return f"a description has at most {LONGEST_DESCRIPTION} characters"
    if tool.mode not in TOOL_MODES:
        return (
            f"the mode is one of {', '.join(TOOL_MODES)}, not {tool.mode[:32]!r}."
            f"{nearest(tool.mode, TOOL_MODES)}"
        )
    try:
        schemas.read(tool.schema)
    except schemas.SchemaError as error:
        return str(error)
    return ""


def mode_of(tool: Tool, parameters: Parameters) -> str:
    """Return the mode in force: the slot's that names the tool, else its own."""
    if not parameters.flag("Usetools"):
        return DISABLED
    for slot in range(min(int(parameters.number("Tool")), TOOL_SLOTS)):
        if parameters.text(f"Tool{slot}toolop") == tool.name:
            return parameters.text(f"Tool{slot}mode")
    return tool.mode


def unknown_slots(toolbox: Toolbox, parameters: Parameters) -> list[str]:
    """Return a sentence for each slot in use that names no tool."""
    found: list[str] = []
    for slot in range(min(int(parameters.number("Tool")), TOOL_SLOTS)):
        name = parameters.text(f"Tool{slot}toolop")
        if name and toolbox.find(name) is None:
            meant = nearest(name, [tool.name for tool in toolbox.all()])
            found.append(f"Tool{slot}toolop names {name}, which nobody offers yet.{meant}")
    return found


def declarations(toolbox: Toolbox, parameters: Parameters) -> list[ToolDeclaration]:
    """Return what a leg is told of."""
    found: list[ToolDeclaration] = []
    if parameters.flag("Allowendconversation"):
        found.append(_END)
    if parameters.flag("Outputtext"):
        found.append(_OUTPUT)
    for tool in toolbox.all():
        mode = mode_of(tool, parameters)
        if mode != DISABLED:
            found.append(
                ToolDeclaration(
                    name=tool.name,
                    description=tool.description,
                    schema=tool.schema,
                    blocking=mode != NONBLOCKING,
                )
            )
    return found


def shown(toolbox: Toolbox, parameters: Parameters) -> list[ShownTool]:
    """Return every tool with the mode in force."""
    return [
        ShownTool(
            name=tool.name,
            mode=mode_of(tool, parameters),
            origin=tool.executor,
            schema=tool.schema,
            description=tool.description,
        )
        for tool in toolbox.all()
    ]


def host_of(origin: Origin) -> str:
    """Return the machine of an origin: its address without port."""
    if origin.kind == "osc":
        return origin.id.removeprefix("tcp/").rpartition(":")[0]
    return origin.id


_END = ToolDeclaration(
    name=END_CONVERSATION,
    description="End this conversation. Say goodbye first, then call this.",
    schema='{"type": "object", "properties": {}, "required": []}',
)
_OUTPUT = ToolDeclaration(
    name=OUTPUT_TEXT,
    description=(
        "Show text on a screen without speaking it: code, lists, addresses, long quotations. "
        "Do not read the same text aloud."
    ),
    schema=(
        '{"type": "object", "properties": {"text": {"type": "string", "description": '
        '"What is shown"}}, "required": ["text"]}'
    ),
)
OUTPUT_SCHEMA = schemas.read(_OUTPUT.schema)
