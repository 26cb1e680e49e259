"""What a reload changes, key by key, and from when on each change counts."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect as shape

from voiced.control.config.model import LIVE, RESTART, Config

_UNMARKED = {"osc.bind": RESTART, "osc.port": RESTART}
"""Keys whose declaration carries no mark; every other such key is live."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One key that is not what it was."""

    key: str
    applies: str
    """"live", "next session" or "restart"."""


def changes(old: Config, new: Config) -> list[Change]:
    """Return every key that differs; a new or missing agent is one change."""
    found: list[Change] = []
    _compare(shape.type_info(Config), old, new, "", LIVE, found)
    return found


def applies_by_key() -> dict[str, str]:
    """Return every declared key and from when on a change of it counts."""
    marks: dict[str, str] = {}
    _collect(shape.type_info(Config), "", LIVE, marks)
    return marks


def _mark(declared: shape.Type, key: str, inherited: str) -> tuple[shape.Type, str]:
    """Return the type without its metadata, and its mark."""
    mark = _UNMARKED.get(key, inherited)
    while isinstance(declared, shape.Metadata):
        mark = (declared.extra or {}).get("applies", mark)
        declared = declared.type
    return declared, mark


def _compare(
    declared: shape.Type, old: Any, new: Any, key: str, inherited: str, found: list[Change]
) -> None:
    declared, mark = _mark(declared, key, inherited)
    if old == new:
        return
    if isinstance(declared, shape.StructType) and type(old) is type(new) is declared.cls:
        for field in declared.fields:
            path = f"{key}.{field.name}" if key else field.name
            _compare(
                field.type, getattr(old, field.name), getattr(new, field.name), path, mark, found
            )
    elif key == "agent" and isinstance(declared, shape.VarTupleType):
        before = {agent.name: agent for agent in old}
        after = {agent.name: agent for agent in new}
        for name in {**before, **after}:
            if name in before and name in after:
                _compare(
                    declared.item_type, before[name], after[name], f"agent.{name}", mark, found
                )
            else:
                found.append(Change(key=f"agent.{name}", applies=RESTART))
    else:
        found.append(Change(key=key, applies=mark))


def _collect(declared: shape.Type, key: str, inherited: str, marks: dict[str, str]) -> None:
    declared, mark = _mark(declared, key, inherited)
    if isinstance(declared, shape.VarTupleType):
        inner, inner_mark = _mark(declared.item_type, key, mark)
        if isinstance(inner, shape.StructType):
            declared, mark = inner, inner_mark
    if isinstance(declared, shape.UnionType):  # A table that may be left out.
        tables = [each for each in declared.types if isinstance(each, shape.StructType)]
        if len(tables) == 1 and any(isinstance(e, shape.NoneType) for e in declared.types):
            declared = tables[0]
    if isinstance(declared, shape.StructType):
        for field in declared.fields:
            _collect(field.type, f"{key}.{field.name}" if key else field.name, mark, marks)
    else:
        marks[key] = mark
