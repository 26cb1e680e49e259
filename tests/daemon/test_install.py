"""Installdependencies: from the lock alone, where it is allowed; else the command is named.

The daemon runs in a Python environment of its own, with a lock of the test's and a folder in place
of an index: the packages that are installed are real, and pip is.
"""

from __future__ import annotations

import base64
import hashlib
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.daemon import rig
from tests.daemon.rig import ROOT, Daemon

A = "/voice_agent"
CONFIG = """
[install]
allow = {allow}
[[agent]]
name = "voice_agent"
on_start = "wait"
[agent.par]
Provider = "needy"
Providersfolder = "drop-ins"
"""
NEEDY = ("import voiced_needle\nimport voiced_thread\n", 'DEPENDENCIES = ["voiced-needle"]\n')


def wheel(folder: Path, name: str, requires: str = "") -> str:
    """Write a wheel with one empty module; return its sha256."""
    module, stem = f"{name.replace('-', '_')}.py", f"{name.replace('-', '_')}-1.0"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    if requires:
        metadata += f"Requires-Dist: {requires}\n"
    files = {
        module: "",
        f"{stem}.dist-info/METADATA": metadata,
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_hash(text)},{len(text)}\n" for path, text in files.items())
    files[f"{stem}.dist-info/RECORD"] = f"{record}{stem}.dist-info/RECORD,,\n"
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for where, text in files.items():
            archive.writestr(where, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class House:
    """An environment that sees this one's packages, this voiced, and a lock of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder / "venv", with_pip=False, symlinks=True)
        self.python = folder / "venv" / "bin" / "python"
        self.site = folder / "venv" / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
        (self.site / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n")
        (folder / "tree").mkdir()
        (folder / "tree" / "voiced").symlink_to(ROOT / "voiced")
        (folder / "tree" / "requirements").mkdir()
        (folder / "wheels").mkdir()
        drop_ins = folder / "drop-ins"
        drop_ins.mkdir(mode=0o755)
        echo = (ROOT / "voiced" / "providers" / "provider_echo.py").read_text()
        empty = "DEPENDENCIES: list[str] = []\n"
        assert empty in echo
        imports = "import numpy as np\n"
        text = echo.replace(empty, NEEDY[1]).replace(imports, imports + NEEDY[0], 1)
        (drop_ins / "provider_needy.py").write_text(text)
        self.hashes = {
            "voiced-needle": wheel(folder / "wheels", "voiced-needle", "voiced-thread"),
            "voiced-thread": wheel(folder / "wheels", "voiced-thread"),
        }
        self.lock(self.hashes)

    def lock(self, hashes: dict[str, str]) -> None:
        wanted_by = {"voiced-needle": "voiced (pyproject.toml)", "voiced-thread": "voiced-needle"}
        (self.folder / "tree" / "requirements" / "extras.txt").write_text(
            "".join(
                f"{name}==1.0 \\\n    --hash=sha256:{digest}\n    # via {wanted_by[name]}\n"
                for name, digest in hashes.items()
            )
        )

    def environment(self) -> dict[str, str]:
        return {
            "PYTHONSAFEPATH": "1",  # voiced comes from the tree, not from the working folder
            "PYTHONPATH": str(self.folder / "tree"),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.folder / "wheels"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def installed(self) -> set[str]:
        return {path.name for path in self.site.glob("voiced_*.py")}


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    there = House(tmp_path)
    monkeypatch.setattr(rig.sys, "executable", str(there.python))
    return there


def test_without_leave_the_command_is_named(house: House) -> None:
    config = CONFIG.format(allow="false")
    with Daemon(house.folder, config, environment=house.environment()) as daemon:
        since = daemon.mark()
        daemon.send(f"{A}/par/Installdependencies")
        told = daemon.wait("/voiced/error", f"{A}/par/Installdependencies", since=since).args
        assert told[1] == "denied"
        assert f"{house.python} -m pip install voiced-needle" in told[2]
        assert "install.allow" in told[2]
        since = daemon.mark()
        daemon.send(f"{A}/par/Connect")
        told = daemon.wait(f"{A}/cb/onError", since=since).args
        assert "the package voiced-needle is not installed" in told[2]
        assert house.installed() == set()


def test_with_leave_it_comes_from_the_lock_and_the_provider_is_there(house: House) -> None:
    bad = {**house.hashes, "voiced-needle": "0" * 64}
    house.lock(bad)
    config = CONFIG.format(allow="true")
    with Daemon(house.folder, config, environment=house.environment()) as daemon:
        # What is not what the lock says is not installed.
        since = daemon.mark()
        daemon.send(f"{A}/par/Installdependencies")
        told = daemon.wait(f"{A}/cb/onError", "install", since=since).args
        assert "HASHES" in told[2].upper()
        assert house.installed() == set()

        # What the lock does not know is not installed, with or without a hash.
        house.lock({"voiced-thread": house.hashes["voiced-thread"]})
        since = daemon.mark()
        daemon.send(f"{A}/par/Installdependencies")
        told = daemon.wait(f"{A}/cb/onError", "install", since=since).args
        assert told[2].startswith("voiced-needle: not in the lock")
        assert house.installed() == set()

        house.lock(house.hashes)
        since = daemon.mark()
        daemon.send(f"{A}/par/Installdependencies")
        installed = daemon.wait(f"{A}/cb/onStatus", "installed", since=since).args
        assert installed[1] == "voiced-needle, voiced-thread"
        words = [m.args for m in daemon.client.all(f"{A}/cb/onStatus", since=since)]
        steps = [sentence for word, sentence in words if word == "installing"]
        assert steps[0] == "from the lock: voiced-needle, voiced-thread"
        assert "voiced-thread, 2 of 2" in steps
        assert house.installed() == {"voiced_needle.py", "voiced_thread.py"}

        # The provider is there, without a restart of anything.
        daemon.ask(f"{A}/sig/model_ready", wanted=1.0)
        since = daemon.mark()
        daemon.send(f"{A}/par/Connect")
        daemon.wait(f"{A}/cb/onSessionStart", since=since)
        since = daemon.mark()
        daemon.send(f"{A}/par/Installdependencies")
        told = daemon.wait("/voiced/error", f"{A}/par/Installdependencies", since=since).args
        assert told[1:] == ("no_effect", "needy lacks no packages")


def test_the_wheel_carries_the_lock() -> None:
    # What hatchling is told to put into the package is what `find_lock` looks for first.
    from voiced.control import lock

    text = (ROOT / "pyproject.toml").read_text()
    assert f'"requirements/{lock.NAME}" = "voiced/requirements/{lock.NAME}"' in text
    assert lock.find_lock() == ROOT / "requirements" / lock.NAME
