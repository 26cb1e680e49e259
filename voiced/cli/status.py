"""`voiced status`."""

from __future__ import annotations

import argparse
import json
from typing import Final

from voiced.cli.link import agents as agents_of
from voiced.cli.link import arguments as where
from voiced.cli.link import linked, shown
from voiced.control.osc.client import Client
from voiced.errors import ExitCode

_READOUTS: Final = ("Sessionstate", "Enginestatus", "Provider", "Model", "Conversationcost")
_FINE: Final = ("ready", "starting")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--json", action="store_true", help="for programs")
    where(parser)


def run(args: argparse.Namespace) -> int:
    """Print how everything is; 1 where something is degraded."""
    with linked(args) as link:
        version, count, engine, uptime, targets = map(shown, link.ask("/voiced/status"))
        muted = bool(link.ask("/voiced/mute")[0])
        names = [args.agent] if args.agent else agents_of(link)
        agents = {name: _readouts(link, name) for name in names}
    report = {
        "version": version,
        "engine": engine,
        "uptime_s": round(float(uptime), 1),
        "targets": int(targets),
        "muted": muted,
        "agents": agents,
    }
    if args.json:
        print(json.dumps(report, indent=1))
    else:
        hours, minutes = divmod(int(float(uptime)) // 60, 60)
        print(
            f"voiced {version}, up {hours} h {minutes:02} min, "
            f"{_count(count, 'agent')}, tells {_count(targets, 'target')}"
        )
        if muted:
            print("MUTED: every gate is closed; `voiced set /voiced/mute 0` opens them")
        for name, readouts in agents.items():
            print(f"{name}: {readouts['Sessionstate']}, {readouts['Enginestatus']}")
            model = f" {readouts['Model']}" if readouts["Model"] else ""
            print(
                f"  {readouts['Provider']}{model}, cost {readouts['Conversationcost'] or 'nothing'}"
            )
    fine = all(_word(one["Enginestatus"]) in _FINE for one in agents.values())
    return ExitCode.DONE if fine else ExitCode.FAILED


def _count(number: str, what: str) -> str:
    return f"{number} {what}{'' if number == '1' else 's'}"


def _readouts(link: Client, agent: str) -> dict[str, str]:
    return {
        name: " ".join(shown(argument) for argument in link.ask(f"/{agent}/par/{name}"))
        for name in _READOUTS
    }


def _word(status: str) -> str:
    return status.split(maxsplit=1)[0].rstrip(":,.") if status else ""
