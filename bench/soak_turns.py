"""Ten thousand short turns at twenty times real time, with a fault every fifty.

    python -m bench.soak_turns [--turns N] [--every M]

A daemon and an emulated OpenAI Realtime, joined by loopback. Every M turns, one after the other:
the link breaks, the session's cap comes, the network process is killed. Every typed turn must be
answered, and stand in the table once; memory, descriptors and threads must not grow.

Simpler than a show: the turns are typed, nobody speaks, and the voice is a tone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.clouds.rig import A, Cloud

SPEED = 20.0


def script(turns: int, every: int) -> str:
    """Return connections that end by turns in two ways; the third end is the kill."""
    parts = ['answer = "Yes."\n']
    for n in range(turns // every + 2):
        parts.append("[[connection]]\n")
        what = ("reset", "cap", "")[n % 3]
        if what:
            parts.append(f'[[connection.fault]]\nwhat = "{what}"\nreply = {every}\n')
    return "".join(parts)


def used(pid: int) -> tuple[float, int, int]:
    """Return resident MiB, descriptors and threads of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    row = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    resident = int(row["VmRSS"].split()[0]) / 1024
    return resident, len(os.listdir(f"/proc/{pid}/fd")), int(row["Threads"])


def main() -> int:
    """Run it; return 1 where a turn was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=50)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="voiced-soak-"))
    options = ["--voice=tone", "--deaf"]
    with Cloud(
        folder, "openai_realtime", script(args.turns, args.every), speed=SPEED, options=options,
        more="[osc.rates]\nsendtext = 100000\n",
    ) as cloud:  # fmt: skip
        daemon = cloud.daemon
        begun = cloud.connect()
        assert daemon.process is not None
        control, audio = daemon.process.pid, daemon.pid_of("audio")
        at = time.monotonic()
        lost = 0
        for turn in range(1, args.turns + 1):
            since = daemon.mark()
            text = f"turn {turn}"
            daemon.send(f"{A}/par/Sendtext", text)
            if turn % (3 * args.every) == 0:
                daemon.signal_child("network")
            try:
                daemon.wait(
                    f"{A}/cb/onAssistantText", lambda said, final, row: final == 1 and said,
                    60.0, since=since,
                )  # fmt: skip
            except AssertionError:
                lost += 1
                print(f"turn {turn} was not answered", flush=True)
            if turn % 100 == 0:
                took = time.monotonic() - at
                print(f"{turn} turns, {took:.0f} s: control {used(control)}, audio {used(audio)}, "
                      f"network {used(daemon.pid_of('network'))}", flush=True)  # fmt: skip
        users = [message for role, message in cloud.rows(begun) if role == "user"]
        wanted = [f"turn {n}" for n in range(1, args.turns + 1)]
        missing = set(wanted) - set(users)
        print(f"{args.turns} turns: {lost} unanswered, {len(missing)} missing in the table, "
              f"{len(users) - len(set(users))} twice")  # fmt: skip
        refreshed = [m for role, m in cloud.rows(begun) if role == "system"]
        print(f"{len(refreshed)} refreshes, violations {cloud.violations()[:3]}")
    return 1 if lost or missing else 0


if __name__ == "__main__":
    sys.exit(main())
