"""Drop-ins broken in every way become cards that say why; the others are not touched."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from voiced.messages.network import Catalogue
from voiced.providers import provider_echo
from voiced.providers.registry import Registry

GOOD = Path(provider_echo.__file__).read_text()


def cards(registry: Registry) -> dict:
    catalogue = registry.catalogue()
    # Control decodes strictly: whatever a module returned, this must work.
    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(catalogue), type=Catalogue)
    assert decoded == catalogue
    return {card.name: card for card in decoded.providers}


def drop(folder: Path, name: str, source: str | bytes, mode: int = 0o644) -> Path:
    folder.chmod(0o755)
    file = folder / f"provider_{name}.py"
    file.write_bytes(source if isinstance(source, bytes) else source.encode())
    file.chmod(mode)
    return file


def test_the_built_in_ones_are_there():
    registry = Registry()
    found = cards(registry)
    assert found["echo"].available
    echo = registry.find("echo")
    assert echo is provider_echo
    assert found["echo"].models == ["echo"]
    assert [row.name for row in found["echo"].parameters] == ["threshold_db", "hangover_ms"]
    assert found["local"].resumption == "replay"
    assert found["local"].key_server == ""
    assert "free" in found["local"].pricing[""].text


def test_a_copy_of_the_template_dropped_into_a_folder_works(tmp_path):
    drop(tmp_path, "mine", GOOD)
    registry = Registry()
    registry.scan(str(tmp_path))
    assert cards(registry)["mine"].available
    assert not isinstance(registry.find("mine"), str)
    assert not list(tmp_path.rglob("*.pyc")), "nothing is written into the folder"
    registry.scan("")
    assert "mine" not in cards(registry)
    assert "there is no provider 'mine'" in registry.find("mine")


def test_a_changed_drop_in_is_loaded_again(tmp_path):
    drop(tmp_path, "mine", GOOD.replace("SAMPLE_RATE_IN = 24000", "SAMPLE_RATE_IN = 1"))
    registry = Registry()
    registry.scan(str(tmp_path))
    assert "SAMPLE_RATE_IN is 1" in cards(registry)["mine"].reason
    drop(tmp_path, "mine", GOOD)
    registry.scan(str(tmp_path))
    assert cards(registry)["mine"].available


BROKEN = {
    "syntax": ("def (:", "SyntaxError in line 1"),
    "raises": ("\n1 / 0\n", "ZeroDivisionError in line 2"),
    "exits": ("import sys; sys.exit(3)", "SystemExit"),
    "imports": ("import a_package_nobody_has", "ModuleNotFoundError"),
    "binary": (b"\x00\xff\xfe", "import failed"),
    "empty": ("", "start_session is missing"),
    "several": (
        GOOD.replace('METERING = "token"', 'METERING = "free"').replace("async def say", "def say")
        .replace("async def send_text(conn: Connection, text: str)", "def send_text(conn)"),
        "METERING is 'free'",
    ),
    "lists": (GOOD.replace('return ["yours"]', 'return "yours"'), "voices must return a list"),
    "voices": (GOOD.replace('return ["yours"]', "return [1, 2]"), "cannot be told"),
    "page": (GOOD.replace("    return [\n        Pro", "    return [1,\n        Pro"), "rows"),
    "price": (GOOD.replace('return Price(text="free (echo)")', 'return 0.5'), "pricing('echo')"),
    "asks": (GOOD.replace("return Availability(True)", "raise OSError('no card')"), "no card"),
    "leaves": (GOOD.replace("return Availability(True)", "raise SystemExit(3)"), "SystemExit: 3"),
    "huge": ("#" * (1 << 20) + "\n" + GOOD, "longer than"),
}  # fmt: skip


def test_broken_ones_say_everything_and_disturb_nobody(tmp_path):
    for name, (source, _) in BROKEN.items():
        drop(tmp_path, name, source)
    drop(tmp_path, "zz_good", GOOD)
    registry = Registry()
    registry.scan(str(tmp_path))
    found = cards(registry)
    for name, (_, said) in BROKEN.items():
        assert not found[name].available
        assert said in found[name].reason, name
        assert found[name].reason in registry.find(name)
    assert "send_text must" in found["several"].reason, "everything at once"
    assert found["zz_good"].available


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_file_that_others_can_write_is_not_loaded(tmp_path, mode):
    drop(tmp_path, "mine", "raise AssertionError('it was run')", mode)
    registry = Registry()
    registry.scan(str(tmp_path))
    assert "chmod go-w" in cards(registry)["mine"].reason


def test_a_folder_that_others_can_write_is_not_trusted(tmp_path):
    drop(tmp_path, "mine", "raise AssertionError('it was run')")
    tmp_path.chmod(0o777)
    registry = Registry()
    registry.scan(str(tmp_path))
    assert "chmod go-w" in cards(registry)["mine"].reason


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_file_of_another_user_is_not_loaded(tmp_path):
    file = drop(tmp_path, "mine", "raise AssertionError('it was run')")
    os.chown(file, 12345, 12345)
    registry = Registry()
    registry.scan(str(tmp_path))
    assert "belongs to another user" in cards(registry)["mine"].reason


def test_what_is_no_file_is_said(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "provider_folder.py").mkdir()
    os.mkfifo(tmp_path / "provider_pipe.py", 0o644)
    (tmp_path / "provider_dangling.py").symlink_to(tmp_path / "nowhere")
    registry = Registry()
    registry.scan(str(tmp_path))
    found = cards(registry)
    for name in ("folder", "pipe", "dangling"):
        assert not found[name].available


def test_a_name_of_voiceds_own_is_refused(tmp_path):
    drop(tmp_path, "echo", GOOD)
    registry = Registry()
    registry.scan(str(tmp_path))
    assert cards(registry)["echo"].available
    assert "another name" in cards(registry)["provider_echo.py"].reason


def test_a_folder_that_is_not_there_is_no_error(tmp_path):
    registry = Registry()
    registry.scan(str(tmp_path / "nowhere"))
    assert cards(registry)["echo"].available
