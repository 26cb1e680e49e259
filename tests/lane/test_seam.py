"""Memory and wake-ups between processes, on Linux's own calls and on their portable twins."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from voiced.lane.seam import Clock, Wake, create_segment, map_segment

both = pytest.mark.parametrize("portable", [False, True], ids=["linux", "portable"])


@both
def test_a_segment_is_shared_with_a_child_and_outlives_it(portable):
    fd = create_segment("test", 4096, portable=portable)
    try:
        ours = map_segment(fd)
        ours[0] = 41
        child = (
            "import sys; sys.path.insert(0, '.')\n"
            "from voiced.lane.seam import map_segment\n"
            f"m = map_segment({fd}); assert m[0] == 41; m[1] = 42"
        )
        subprocess.run([sys.executable, "-c", child], pass_fds=[fd], check=True, timeout=20)
        assert ours[1] == 42
        assert len(ours) == 4096
    finally:
        os.close(fd)


@both
def test_many_sets_are_one_wake(portable):
    wake = Wake.create(portable=portable)
    assert not wake.clear()
    assert not wake.wait(0.0)
    for _ in range(3):
        wake.set()
    assert wake.wait(1.0)
    assert not wake.wait(0.0)
    wake.close()


@both
def test_setting_never_blocks_however_often(portable):
    wake = Wake.create(portable=portable)
    for _ in range(200_000):
        wake.set()
    assert wake.clear()
    wake.close()


@both
def test_a_wake_works_across_processes(portable):
    wake = Wake.create(portable=portable)
    child = (
        "import sys; sys.path.insert(0, '.')\n"
        "from voiced.lane.seam import Wake\n"
        f"Wake(*{wake.fds}).set()"
    )
    subprocess.run([sys.executable, "-c", child], pass_fds=set(wake.fds), check=True, timeout=20)
    assert wake.wait(0.0)
    wake.close()


def test_a_faster_clock_runs_faster_and_waits_shorter():
    slow, fast = Clock(), Clock(8.0)
    before_fast = fast.mono_ns()
    before_slow = slow.mono_ns()
    assert fast.real_s(4.0) == 0.5
    assert slow.real_s(4.0) == 4.0
    gone = slow.mono_ns() - before_slow
    assert fast.mono_ns() - before_fast >= 8 * gone


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds what a process may write to")
def test_a_bounded_process_gets_a_memory_error_and_goes_first():
    child = (
        "from voiced.lane.seam import bound_memory\n"
        "bound_memory(1e-9)\n"  # the least there is
        "kept = []\n"
        "try:\n"
        "    while len(kept) < 100: kept.append(bytearray(64 << 20))\n"
        "except MemoryError: pass\n"
        "count = len(kept); kept.clear()\n"
        "print(count, open('/proc/self/oom_score_adj').read())\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", child], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert 4 <= int(told[0]) <= 8
    assert told[1] == "1000"
