"""`voiced callbacks stub`."""

from __future__ import annotations

from pathlib import Path

import pytest

from voiced.cli import main
from voiced.cli.callbacks import stub
from voiced.errors import ExitCode


def test_the_stub_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["callbacks", "stub"]) == ExitCode.DONE
    assert capsys.readouterr().out == stub()


def test_the_stub_is_written_where_nothing_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "voice.py"
    assert main(["callbacks", "stub", str(path)]) == ExitCode.DONE
    assert 'Callbackdat = "voice.py"' in path.read_text()
    path.write_text("mine")
    assert main(["callbacks", "stub", str(path)]) == ExitCode.FAILED
    assert "is there already and stays as it is" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert main(["callbacks", "stub", str(tmp_path / "none" / "voice.py")]) == ExitCode.FAILED


def test_it_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["callbacks"])
    assert left.value.code == ExitCode.USAGE
    assert "WHAT" in capsys.readouterr().err
