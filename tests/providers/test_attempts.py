"""Drop-ins that take their process with them are left out at a later start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from voiced.providers.attempts import ENOUGH, NAME, Attempts

ROOT = Path(__file__).resolve().parents[2]
SCAN = """
import sys
from pathlib import Path
from voiced.providers.attempts import Attempts
from voiced.providers.registry import Registry
registry = Registry()
registry.attempts = Attempts(Path(sys.argv[2]))
registry.scan(sys.argv[1])
print(registry.find("bad"))
"""


def _scan(folder: Path) -> subprocess.CompletedProcess[str]:
    """Have a fresh process look at the drop-ins."""
    return subprocess.run(
        [sys.executable, "-c", SCAN, str(folder / "dropins"), str(folder)],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def _drop(folder: Path, source: str) -> Path:
    (folder / "dropins").mkdir(exist_ok=True, mode=0o755)
    file = folder / "dropins" / "provider_bad.py"
    file.write_text(source)
    file.chmod(0o644)
    return file


@pytest.mark.parametrize("source", ["import os\nos._exit(3)\n", "raise KeyboardInterrupt\n"])
def test_a_module_that_ends_its_process_is_left_out(tmp_path: Path, source: str) -> None:
    """From the third start on, with a sentence, until it is saved anew."""
    file = _drop(tmp_path, source)
    for _ in range(ENOUGH):
        assert _scan(tmp_path).returncode != 0
    third = _scan(tmp_path)
    assert third.returncode == 0, third.stderr
    assert "ended or hung" in third.stdout
    assert _scan(tmp_path).returncode == 0, "it stays left out"
    file.write_text("x = 1\n")
    mended = _scan(tmp_path)
    assert "ended or hung" not in mended.stdout
    assert mended.returncode == 0


def test_a_module_that_only_fails_is_tried_again(tmp_path: Path) -> None:
    """Whatever the process survives is told as ever, and leaves nothing behind."""
    _drop(tmp_path, "import asyncio\nraise asyncio.CancelledError\n")
    for _ in range(ENOUGH + 1):
        assert "CancelledError in line 2" in _scan(tmp_path).stdout
    assert (tmp_path / NAME).read_text() == "{}"


def test_one_power_cut_blames_nobody(tmp_path: Path) -> None:
    """A load that nothing was heard of once is tried again; a good one clears the record."""
    file = tmp_path / "provider_x.py"
    file.touch()
    Attempts(tmp_path).loading(file).__enter__()
    later = Attempts(tmp_path)
    assert later.flaw_of(file) == ""
    with later.loading(file):
        pass
    Attempts(tmp_path).loading(file).__enter__()
    assert Attempts(tmp_path).flaw_of(file) == ""


def test_what_cannot_be_remembered_is_loaded_nevertheless(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()  # Root, too, writes no file over a folder.
    loaded = False
    with Attempts(tmp_path).loading(tmp_path / "provider_x.py"):
        loaded = True
    assert loaded
    assert (tmp_path / NAME).is_dir()


def test_a_torn_record_is_no_record(tmp_path: Path) -> None:
    """A file that cannot be read counts for nothing."""
    (tmp_path / NAME).write_bytes(b"\xff{")
    assert Attempts(tmp_path).flaw_of(tmp_path / "provider_x.py") == ""
