"""Which packages a provider lacks, and the command for them."""

from __future__ import annotations

import sys
from importlib import metadata

import pytest

from voiced.providers import packages


def test_what_is_installed_is_not_missing() -> None:
    assert packages.missing(["msgspec", "NumPy>=2", "no-such-package-anywhere"]) == [
        "no-such-package-anywhere"
    ]


@pytest.mark.parametrize(
    ("names", "last"),
    [
        (["onnxruntime", "hibari_tts"], "-m pip install 'voiced[local]'"),
        (["soundfile"], "-m pip install 'voiced[flac]'"),
        (["no-such-package"], "-m pip install no-such-package"),
        (["onnxruntime", "no such; package"], "-m pip install onnxruntime 'no such; package'"),
    ],
)
def test_the_command_names_this_python_and_an_extra_where_there_is_one(
    names: list[str], last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        metadata, "requires",
        lambda name: [
            "msgspec>=0.22",
            "onnxruntime==1.32.0; (sys_platform != 'darwin') and extra == 'local'",
            "hibari-tts==0.2.1; extra == 'local'",
            'soundfile>=0.13; extra == "flac"',
            'soundfile>=0.13; extra == "test"',
        ],
    )  # fmt: skip
    assert packages.command(names) == f"{sys.executable} {last}"


def test_the_sentence_ends_with_the_command() -> None:
    sentence = packages.lacks(["no-such-package"])
    assert sentence.startswith("the package no-such-package is not installed: ")
    assert sentence.endswith(packages.command(["no-such-package"]))


@pytest.mark.parametrize(
    ("source", "names"),
    [
        (b"import x\nDEPENDENCIES = ['a', 'b']\n", ["a", "b"]),
        (b"DEPENDENCIES: list[str] = ['a']\nimport x\n", ["a"]),
        (b"DEPENDENCIES = ('a', name, 7)\n", ["a"]),
        (b"DEPENDENCIES = names()\n", []),
        (b"DEPENDENCIES: list[str]\n", []),
        (b"def f(:\n", []),
        (b"\xff\x00", []),
        (b"(" * 100_000, []),
    ],
)
def test_a_module_that_cannot_be_run_is_read(source: bytes, names: list[str]) -> None:
    assert packages.declared(source) == names
