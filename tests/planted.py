"""The keys that every test plants, and the search for them in everything that is left.

Every program of a test run has `environment()` in its environment: no test ever meets a key of
whoever runs it, and what a daemon leaves (its log, what it says by OSC, its folder) is looked
through at the end of each one's life (tests/daemon/rig.py), what a test prints at the test's end
(tests/conftest.py). A finding names the place and the form, never the key.

Each key begins with one word and ends with another, which stand nowhere else and which no quoting
changes. So the search is for these two alone, and finds half a key as well as a quoted one.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.servers import pause

FIRST, LAST = "Qj8wTr0mb", "Zk3vM1lkx"
"""What every planted key begins with, after its vendor's sign, and what it ends with."""

LIKE_NOTHING = f"{FIRST}/shaped~pebbles'in&oats%20\\+{LAST}"
"""As no vendor makes them: no pattern would find it, and every form of quoting changes it."""
OPENAI = f"sk-proj-{FIRST}0123456789abcdefghijklmnopqrstuvwxyz_{LAST}"
GEMINI = f"AIzaSy{FIRST}0123456789abcdef{LAST}"
XAI = f"xai-{FIRST}0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefgh{LAST}"
HUME = f"{FIRST}0123456789abcdefghijklmnopqr{LAST}"

VENDORS = {
    "OPENAI_API_KEY": OPENAI,
    "GEMINI_API_KEY": GEMINI,
    "XAI_API_KEY": XAI,
    "HUME_API_KEY": HUME,
}
COPY = "A_COPY_OF_MINE"
"""A variable whose name speaks of no key; it holds OpenAI's."""

CREDENTIALS = "credentials"
"""A daemon's folder of credentials, as systemd would make it, beside its state folder."""
KEY_FOLDERS = frozenset({"keys", CREDENTIALS})
"""Where keys may lie: what is in a folder of this name is not looked through."""
BEGUN_S = 5.0
"""What a process gets between fork and exec, on a busy machine."""
WHOLE = 4 << 20
"""Bytes of a file up to which all of it is looked through; of a longer one this much of each end:
only sound is that long."""


def environment() -> dict[str, str]:
    """Return the variables that hold the planted keys."""
    return {**VENDORS, COPY: OPENAI}


def _forms() -> dict[str, bytes]:
    """Return form -> bytes to search for: a word of a key as it may be written or wrapped."""
    forms: dict[str, bytes] = {}
    for half, word in (("begins", FIRST), ("ends", LAST)):
        raw = word.encode()
        forms[f"a key that {half} so"] = raw
        forms[f"a key that {half} so, in UTF-16"] = word.encode("utf-16-le")
        forms[f"a key that {half} so, backwards"] = raw[::-1]
        forms[f"a key that {half} so, in hexadecimal"] = raw.hex().encode()
        forms[f"a key that {half} so, in capital hexadecimal"] = raw.hex().upper().encode()
        for shift in range(3):
            # The characters of base64 that are made of the word alone, wherever it begins.
            coded = base64.b64encode(b"\0" * shift + raw)
            inner = coded[(0, 2, 3)[shift] : len(raw + b"\0" * shift) // 3 * 4]
            forms[f"a key that {half} so, in base64 ({shift})"] = inner
    return forms


_FORMS = _forms()


def found_in(text: bytes | str) -> list[str]:
    """Return in which forms a planted key stands in a text; the key itself is in none of them."""
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    return [form for form, wanted in _FORMS.items() if wanted in raw]


def findings(places: Iterable[tuple[str, bytes | str]]) -> list[str]:
    """Return a sentence for each place with a key in it."""
    return [f"{place}: {', '.join(forms)}" for place, text in places if (forms := found_in(text))]


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of every file below a folder, but of those that are for keys."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or KEY_FOLDERS & set(path.parts):
            continue
        # A name can give a key away as well.
        yield f"the name of {path.parent}/...", path.name
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size <= WHOLE:
                    yield str(path), file.read()
                else:
                    yield f"the beginning of {path}", file.read(WHOLE)
                    file.seek(size - WHOLE)
                    yield f"the end of {path}", file.read()
        except OSError:  # it went meanwhile
            continue


def processes(control: int) -> Iterator[tuple[str, bytes]]:
    """Yield what everybody, or the same account, may read of a daemon's processes.

    The environment of every process below control, however deep; control itself was given its own
    by the test. A process that hides shows its environment to root alone.
    """
    below = descendants(control)
    own = _read(Path(f"/proc/{control}/cmdline"))
    for pid in below:
        _has_begun(pid, own)
    for pid in (control, *below):
        command = _read(Path(f"/proc/{pid}/cmdline"))
        yield f"the command line of {_title(command)} ({pid})", command
    for pid in below:
        command = _read(Path(f"/proc/{pid}/cmdline"))
        yield f"the environment of {_title(command)} ({pid})", _read(Path(f"/proc/{pid}/environ"))


def _has_begun(pid: int, parent: bytes) -> None:
    """Wait until a process is another program than its parent, whose memory a fork still shows."""
    deadline = time.monotonic() + BEGUN_S
    while _read(Path(f"/proc/{pid}/cmdline")) == parent and time.monotonic() < deadline:
        pause(0.001)


def descendants(pid: int) -> list[int]:
    """Return the process ids below a process; [] where the system does not tell."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        for listed in Path(f"/proc/{one}/task").glob("*/children"):
            below = [int(word) for word in _read(listed).split()]
            found += below
            waiting += below
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it ended meanwhile, or is nobody's to read
        return b""


def _title(command: bytes) -> str:
    words = command.decode(errors="replace").split("\0")
    modules = [word for word in words if word.startswith("voiced.")]
    return modules[0] if modules else Path(words[0]).name
