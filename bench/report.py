"""The tables: printed, and written to docs/benchmarks.md with machine, date and spread."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.goals import ROWS, Figures, verdict

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def spread(values: Sequence[float]) -> str:
    """Return "p50 / p99 (min..max, n)" of some figures."""
    if not values:
        return "never"
    p50, p99 = np.percentile(values, [50, 99])
    low, high = min(values), max(values)
    return f"{p50:.1f} / {p99:.1f} ({low:.1f}..{high:.1f}, n={len(values)})"


def machine() -> str:
    """Return one line about where this ran."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")), platform.machine(),
    )  # fmt: skip
    return (
        f"{os.cpu_count()} x {model}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
    )


def versus(floor: Figures, voiced: Figures) -> str:
    """Return the table of the two programs, each figure beside its goal."""
    lines = ["| | floor | voiced | goal |", "|---|---|---|---|"]
    for key, row in ROWS.items():
        left, right = floor.get(key, []), voiced.get(key, [])
        cells = (row.words, spread(left), spread(right), verdict(row, left, right))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def processes(rounds: Sequence[dict[str, tuple[float, float]]]) -> str:
    """Return the table of voiced's processes, connected and idle."""
    lines = ["| process | % of a core | USS MB |", "|---|---|---|"]
    for name in sorted({name for one in rounds for name in one}):
        cpu = [one[name][0] for one in rounds if name in one]
        uss = [one[name][1] for one in rounds if name in one]
        lines.append(f"| {name} | {np.median(cpu):.1f} | {np.median(uss):.0f} |")
    return "\n".join(lines)


def write(body: str, part: str = "bench", verb: str = "make bench") -> None:
    """Put a measured part into the page; what people wrote around it stays."""
    start, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    page = PAGE.read_text() if PAGE.exists() else "# Benchmarks\n"
    if start not in page:
        page += f"\n{start}\n{end}\n"
    before, _, rest = page.partition(start)
    _, _, after = rest.partition(end)
    when = datetime.datetime.now(datetime.UTC).date().isoformat()
    head = f"Measured {when} by `{verb}` on: {machine()}.\n"
    PAGE.write_text(f"{before}{start}\n{head}\n{body}\n{end}{after}")
