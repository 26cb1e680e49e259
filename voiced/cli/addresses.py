"""`voiced addresses`: the reference of the OSC door, from the tables themselves."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable

from voiced.control.osc.reference import markdown, range_text
from voiced.errors import ExitCode
from voiced.parameters import ADDRESSES, ROWS, Address, Row


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="for programs")
    how.add_argument("--markdown", action="store_true", help="the page docs/addresses.md")


def run(args: argparse.Namespace) -> int:
    """Print the reference."""
    if args.json:
        print(json.dumps({"parameters": _parameters(), "addresses": _addresses()}, indent=1))
    elif args.markdown:
        print(markdown(), end="")
    else:
        for row in ROWS.values():
            print(_line(f"/<agent>/par/{row.name}", row.tag or "pulse", range_text(row), row))
        for one in ADDRESSES:
            print(_line(one.address, _takes(one), "", one))
    return ExitCode.DONE


def _line(address: str, takes: str, what: str, one: Row | Address) -> str:
    later = f" This does nothing yet: {one.later}." if one.later else ""
    return f"{address:36} {takes:7}{what:32} {one.doc}{later}"


def _takes(one: Address) -> str:
    if one.takes is None:
        return "out"
    return (one.takes or "-") + (" (A)" if one.admin else "")


def _parameters() -> list[dict[str, object]]:
    return [
        {"name": row.name, "page": row.page, "tag": row.tag, "kind": row.kind.value,
         "access": row.access.value, "admin": row.admin, "default": row.default,
         "minimum": row.minimum, "maximum": row.maximum, "unit": row.unit,
         "options": list(row.options), "applies": row.applies.value, "persists": row.persists,
         "doc": row.doc, "later": row.later}
        for row in ROWS.values()
    ]  # fmt: skip


def _addresses() -> Iterable[dict[str, object]]:
    return [
        {"address": one.address, "takes": one.takes, "sends": one.sends, "admin": one.admin,
         "doc": one.doc, "later": one.later}
        for one in ADDRESSES
    ]  # fmt: skip
