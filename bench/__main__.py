"""`make bench`: floor and voiced in turn on the same devices, then the parts by themselves."""

from __future__ import annotations

import argparse
import asyncio
from collections import defaultdict

from bench import lane, report
from bench.conversation import Round
from bench.goals import Figures
from bench.programs import Floor, Program, Voiced
from bench.service import Service


async def compare(rounds: int, repeats: int) -> str:
    """Run floor and voiced in turn; return their tables."""
    figures: dict[type[Program], Figures] = {Floor: defaultdict(list), Voiced: defaultdict(list)}
    processes = []
    service = Service()
    await service.start()
    for number in range(1, rounds + 1):
        for kind in (Floor, Voiced):
            print(f"round {number} of {rounds}: {kind.name} ...", flush=True)
            # What never comes back is waited for once.
            hurt = kind is Voiced or number == 1
            one = Round(kind, service, repeats=repeats, hurt=hurt)
            await one.run()
            for key, values in one.figures.items():
                figures[kind][key] += values
            if kind is Voiced:
                processes.append(one.processes)
    await service.close()
    assert not service.surprises, f"the service does not know {service.surprises}"
    return (
        "An OpenAI-Realtime-shaped service on loopback, spoken to by a script of 80 lines (the "
        "floor: what these devices allow) and by voiced with its own `openai_realtime` and "
        "`endpoint`, in turn. PulseAudio null sink and pipe source, 48 kHz; 24 kHz on the wire, "
        "where the floor sends every second sample and voiced resamples. p50 / p99 (min..max, "
        "n).\n\n"
        + report.versus(figures[Floor], figures[Voiced])
        + "\n\nNot compared: the echo of its own voice, since there is no echo canceller yet.\n\n"
        "voiced's processes, connected and idle:\n\n" + report.processes(processes)
    )


def parts() -> str:
    """Measure the rings' wake-up and the callback."""
    lines = ["Wake-up of a ring, publish in one program to copy in another, 480 frames, us:", ""]
    lines += ["| | p50 / p99 (min..max, n) |", "|---|---|"]
    for name, portable in (("eventfd", False), ("pipe (portable)", True)):
        lines.append(f"| {name} | {report.spread(lane.wake_us(portable=portable))} |")
    lines += ["", "Callback, every lane hearing and speaking, us:", ""]
    lines += ["| block (budget us) | 1 lane | 4 lanes | 16 lanes |", "|---|---|---|---|"]
    for frames in (128, 256, 480):
        cells = [report.spread(lane.callback_us(frames, lanes)) for lanes in (1, 4, 16)]
        lines.append(f"| {frames} ({frames / 48000 * 1e6:.0f}) | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--repeats", type=int, default=10)
    arguments.add_argument("--parts", action="store_true", help="only rings and callback")
    given = arguments.parse_args()
    tables = {"parts": parts()}
    if not given.parts:
        tables["bench"] = asyncio.run(compare(given.rounds, given.repeats))
    for part, table in tables.items():
        print(table, end="\n\n")
        report.write(table, part)


if __name__ == "__main__":
    main()
