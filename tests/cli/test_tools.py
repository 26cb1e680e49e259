"""What `voiced check` says of tools beyond OSC, before the show and without starting any."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from pathlib import Path

import pytest

from voiced.cli.finding import Verdict
from voiced.cli.tools import findings
from voiced.control.config import Config, parse

TABLES = """
[[agent]]
name = "a"
[[agent.mcp]]
name = "house"
command = "{command}"
env = {{ KEY = {{ file = "house.key" }} }}
allow = ["*"]
[[agent.mcp]]
name = "archive"
url = "http://127.0.0.1:1/mcp"
headers = {{ A = {{ variable = "ARCHIVE_TOKEN" }}, B = "plain" }}
allow = ["*"]
[[agent.tool]]
name = "next_show"
description = "When"
http = {{ url = "http://127.0.0.1:1/" }}
"""


def told(folder: Path, command: str) -> list[tuple[Verdict, str, str]]:
    config = parse(TABLES.format(command=command), "t")
    return [(one.verdict, one.sentence, one.fix) for one in findings(config, folder)]


def test_what_is_there_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHIVE_TOKEN", "planted-1")
    key = tmp_path / "house.key"
    key.write_text("planted-2")
    key.chmod(0o600)
    lines = told(tmp_path, sys.executable)
    assert [sentence for _, sentence, _ in lines] == [
        "MCP server house", "MCP server archive", "next_show: http://127.0.0.1:1/",
    ]  # fmt: skip
    assert {verdict for verdict, _, _ in lines} == {Verdict.GOOD}


def test_what_is_missing_is_told_with_its_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARCHIVE_TOKEN", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    lines = told(tmp_path, "no-such-program")
    bad = [(sentence, fix) for verdict, sentence, fix in lines if verdict is Verdict.BAD]
    assert bad == [
        ("mcp and httpx2 are not installed",
         f"{shlex.quote(sys.executable)} -m pip install 'voiced[mcp]'"),
        ("MCP server house: there is no program no-such-program",
         "install it, or name it by its whole path"),
        (f"MCP server house: there is no key file {tmp_path}/house.key",
         "write it, and chmod 600 it"),
        ("MCP server archive: there is no variable ARCHIVE_TOKEN",
         "set it where voiced is started"),
    ]  # fmt: skip


def test_one_package_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mcp" else name)
    assert "mcp is not installed" in [each for _, each, _ in told(tmp_path, sys.executable)]


def test_nothing_is_said_where_there_is_nothing(tmp_path: Path) -> None:
    assert list(findings(Config(), tmp_path)) == []


def test_a_program_that_may_not_be_run_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHIVE_TOKEN", "planted-1")
    (tmp_path / "archive.py").write_text("#!/usr/bin/env python3\n")
    lines = told(tmp_path, "./archive.py")
    assert (
        Verdict.BAD,
        f"MCP server house: {tmp_path}/archive.py may not be run",
        f"chmod +x {tmp_path}/archive.py",
    ) in lines


def test_a_program_beside_the_python_that_runs_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHIVE_TOKEN", "planted-1")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    (tmp_path / "bin").mkdir()
    server = tmp_path / "bin" / "mcp-server-house"
    server.write_text("#!/bin/sh\n")
    server.chmod(0o755)
    assert not [line for line in told(tmp_path, "mcp-server-house") if "no program" in line[1]]
