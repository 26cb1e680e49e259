"""Folders of profiles and skills on a disk: what is read, what is refused, and when."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from voiced.control import profiles
from voiced.control.profiles import LARGEST, MOST_FILES, Folders, Listing, read_file, read_folder
from voiced.messages.network import Catalogue, ProviderCard
from voiced.mind.inputs import FilesFound
from voiced.mind.parameters import Parameters
from voiced.mind.profiles import parse, read_profile, read_skill
from voiced.providers import provider_local, provider_openai_realtime

CONFIG = Path(__file__).resolve().parents[2] / "config"
NOBODY = 65534
"""The account without rights, on every Linux."""


def read(folder: Path) -> Listing:
    return read_folder(folder, Listing())


def problem(folder: Path, name: str) -> str:
    (why,) = read_file(folder.resolve(), name).problems
    return why


def test_the_samples_are_good() -> None:
    parameters = Parameters({}, {})
    parameters.take_catalogue(
        Catalogue(
            providers=[
                ProviderCard(name=name, title=name, available=True, parameters=page)
                for name, page in (
                    ("local", provider_local.get_parameters()),
                    ("openai_realtime", provider_openai_realtime.get_parameters()),
                )
            ]
        )
    )
    page = (CONFIG.parent / "docs" / "profiles.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    for folder, reads in (("profiles", read_profile), ("skills", read_skill)):
        files = read(CONFIG / folder).files
        assert files
        for file in (*files, parse("shown.json", shown)) if folder == "profiles" else files:
            made, problems = reads(file, parameters)
            assert problems == []
            assert made


# --- one file


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\xff\xfe\x00\x01", "UTF-8"),
        (b'{"Volume": ', "line 1"),
        (b"[" * 100_000, "deeply"),
        (b" " * LARGEST + b"{}", "larger than 256 KiB"),
    ],
)
def test_a_damaged_file_says_what_is_wrong(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    assert said in problem(tmp_path, "a.json")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"Volume": 0.5}', encoding="utf-8-sig")
    assert read_file(tmp_path.resolve(), "a.json").entries[0].values == (0.5,)


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "out" / "a.json").write_text("{}")
    os.mkfifo(folder / "pipe.json")
    (folder / "dir.json").mkdir()
    (folder / "out.json").symlink_to(tmp_path / "out" / "a.json")
    (folder / "gone.json").symlink_to(folder / "nothing")
    (folder / "loop.json").symlink_to(folder / "loop.json")
    (folder / "link.json").symlink_to(folder / "good.json")
    (folder / "good.json").write_text('{"Volume": 0.5}')
    files = {file.name: file for file in read(folder).files}
    assert "it is no file" in files["pipe"].problems
    assert "it is no file" in files["dir"].problems
    assert "outside of its folder" in files["out"].problems[0]
    assert "cannot be read" in files["gone"].problems[0]
    assert files["loop"].problems
    assert files["good"].problems == files["link"].problems == ()


def test_a_file_without_rights_is_refused() -> None:
    # Not in pytest's own folder: there only its owner may enter.
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for file, mode in (("a.json", 0), ("b.json", 0o644)):
            (folder / file).write_text("{}")
            (folder / file).chmod(mode)
        with anybody():
            files = {file.name: file.problems for file in read(folder).files}
    assert "Permission denied" in files["a"][0]
    assert files["b"] == ()


@contextmanager
def anybody() -> Iterator[None]:
    """Be somebody whom rights bind, where root runs the tests."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


# --- a folder


def test_only_json_and_nothing_hidden(tmp_path: Path) -> None:
    for name in ("b.json", "a.json", ".c.json", "d.txt", "a.json~", ".json"):
        (tmp_path / name).write_text("{}")
    assert [file.name for file in read(tmp_path).files] == ["a", "b"]


def test_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    assert "No such file" in read(tmp_path / "no").problem
    (tmp_path / "file").write_text("")
    assert "Not a directory" in read(tmp_path / "file").problem


def test_what_is_unchanged_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def counted(folder: Path, name: str) -> object:
        opened.append(name)
        return read_file(folder, name)

    monkeypatch.setattr(profiles, "read_file", counted)
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text("{}")
    first = read(tmp_path)
    assert opened == ["a.json", "b.json"]
    assert read_folder(tmp_path, first) is first
    (tmp_path / "b.json").write_text('{"Volume": 0.5}')
    second = read_folder(tmp_path, first)
    assert opened == ["a.json", "b.json", "b.json"]
    (tmp_path / "a.json").unlink()
    assert [file.name for file in read_folder(tmp_path, second).files] == ["b"]


def test_a_folder_with_too_much_in_it(tmp_path: Path) -> None:
    for n in range(MOST_FILES + 3):
        (tmp_path / f"{n:04}.json").write_text("{}")
    listing = read(tmp_path)
    assert len(listing.files) == MOST_FILES
    assert "3 more" in listing.left_out


# --- watching


class Disk:
    """Agents that name folders, and what they were given."""

    def __init__(self, **named: str) -> None:
        self.named = named
        self.given: list[tuple[str, FilesFound]] = []
        self.came = asyncio.Event()
        self.folders = Folders(
            lambda: [(agent, "profiles", folder) for agent, folder in self.named.items()],
            self.put,
        )

    def put(self, agent: str, event: FilesFound) -> None:
        self.given.append((agent, event))
        self.came.set()

    async def next(self) -> tuple[str, FilesFound]:
        async with asyncio.timeout(20.0):
            while not self.given:
                self.came.clear()
                await self.came.wait()
        return self.given.pop(0)


def run(test: Callable[[], Coroutine[object, object, None]]) -> None:
    asyncio.run(test())


def test_folders_are_read_before_the_start_is_over_and_when_they_change(tmp_path: Path) -> None:
    async def test() -> None:
        (tmp_path / "a.json").write_text("{}")
        disk = Disk(one=str(tmp_path), two=str(tmp_path), three="")
        await disk.folders.start()
        assert [agent for agent, _ in disk.given] == ["one", "two"]
        assert all(f.files[0].name == "a" and not f.asked for _, f in disk.given)
        disk.given.clear()
        (tmp_path / "b.json").write_text(json.dumps({"Volume": 0.5}))
        _, found = await disk.next()
        assert [file.name for file in found.files] == ["a", "b"]
        await disk.folders.close()

    run(test)


def test_who_asks_is_answered_though_nothing_has_changed(tmp_path: Path) -> None:
    async def test() -> None:
        disk = Disk(one=str(tmp_path))
        await disk.folders.start()
        disk.given.clear()
        disk.folders.scan("one", "profiles", asked=True)
        agent, found = await disk.next()
        assert (agent, found.asked, found.files) == ("one", True, ())
        await disk.folders.close()

    run(test)


def test_another_folder_and_none_and_one_that_is_gone(tmp_path: Path) -> None:
    async def test() -> None:
        (tmp_path / "a.json").write_text("{}")
        disk = Disk(one="")
        await disk.folders.start()
        assert disk.given == [], "no folder was ever named: there is nothing to tell"
        disk.named["one"] = str(tmp_path)
        disk.folders.scan("one", "profiles", asked=False)
        assert (await disk.next())[1].files[0].name == "a"
        disk.named["one"] = str(tmp_path / "no")
        disk.folders.scan("one", "profiles", asked=False)
        assert "No such file" in (await disk.next())[1].problem
        disk.named["one"] = ""
        disk.folders.scan("one", "profiles", asked=False)
        assert (await disk.next())[1] == FilesFound(what="profiles", folder="")
        await disk.folders.close()

    run(test)
