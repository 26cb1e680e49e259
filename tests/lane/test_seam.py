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
