"""A process that holds keys and crashes writes its memory nowhere, however the system takes cores.

What the kernel did is in the child's exit (waitid(2), CLD_DUMPED or CLD_KILLED), whatever
core_pattern says; a file is looked for besides, where the pattern makes one.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemon.rig import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="core(5) is Linux's")

PATTERN = Path("/proc/sys/kernel/core_pattern")
SECRET = "held-in-memory-8d1f"
CRASH = """
import os, sys
from voiced.lane import seam
held = "-".join(["held", "in", "memory", "8d1f"])
for name in sys.argv[1:]:
    getattr(seam, name)()
os.abort()
"""


def crashed(folder: Path, *asked: str) -> bool:
    """Let a process ask for these and abort in its own folder; tell whether a core was made."""
    if resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY:
        pytest.skip("this account may leave no core: nothing could be seen (ulimit -H -c)")
    child = subprocess.Popen(
        ["sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh", sys.executable, "-c", CRASH, *asked],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        ended = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    finally:
        child.wait(20)
    assert ended is not None
    assert ended.si_status == signal.SIGABRT
    return ended.si_code == os.CLD_DUMPED


def piped() -> bool:
    """Tell whether a program takes the cores here, which the limit alone does not bind."""
    return PATTERN.read_text().startswith("|")


def test_a_process_that_asks_for_nothing_leaves_one(tmp_path: Path) -> None:
    """Without this the others would show nothing."""
    if not crashed(tmp_path):
        pytest.skip(f"the system makes no cores here ({PATTERN.read_text().strip()!r})")
    if "/" not in PATTERN.read_text() and not piped():
        (core,) = tmp_path.iterdir()
        assert SECRET.encode() in core.read_bytes()


def test_the_limit_keeps_a_core_from_the_file_system(tmp_path: Path) -> None:
    if piped():
        pytest.skip("a program takes the cores here, whatever the limit (core_pattern)")
    assert not crashed(tmp_path, "leave_no_core")
    assert not list(tmp_path.iterdir())


def test_a_hidden_process_leaves_none_whatever_takes_them(tmp_path: Path) -> None:
    assert not crashed(tmp_path, "hide_memory")
    assert not list(tmp_path.iterdir())


def test_a_hidden_process_is_roots_to_look_into_and_its_programs_are_not(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "from voiced.lane.seam import hide_memory\n"
        "hide_memory()\n"
        "import ctypes, resource\n"
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), *resource.getrlimit(resource.RLIMIT_CORE))\n"
        "own = 'import ctypes, resource; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),'\n"
        "own += '*resource.getrlimit(resource.RLIMIT_CORE))'\n"
        "print(subprocess.check_output([sys.executable, '-c', own], text=True))\n"
    )
    told = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True, timeout=30)
    hidden, program = told.split("\n")[:2]
    # PR_GET_DUMPABLE; both limits are inherited, so what it starts leaves no core file either.
    assert hidden.split() == ["0", "0", "0"]
    assert program.split() == ["1", "0", "0"]
    assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 1, "the test's own process is as it was"
