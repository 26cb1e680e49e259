"""Which of a provider's packages this Python lacks, and the command that installs them."""

from __future__ import annotations

import ast
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata

from voiced.messages.packages import canonical

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


def missing(dependencies: Iterable[str]) -> list[str]:
    """Return the names among `dependencies` that are not installed, as they were written."""
    return [name for name in dependencies if not _is_installed(name)]


def _is_installed(name: str) -> bool:
    found = _NAME.match(name)
    try:
        metadata.distribution(found[0] if found else name)
    except (metadata.PackageNotFoundError, ValueError):
        return False
    return True


def command(packages: Sequence[str]) -> str:
    """Return the command that installs packages into this very Python; an extra's by its name."""
    python = shlex.quote(sys.executable)
    wanted = {canonical(name) for name in packages}
    for extra, names in _extras().items():
        if wanted <= names:
            return f"{python} -m pip install 'voiced[{extra}]'"
    return f"{python} -m pip install {' '.join(shlex.quote(name) for name in packages)}"


def lacks(packages: Sequence[str]) -> str:
    """Return the sentence about packages that are missing, with the command that mends it."""
    what = "package" if len(packages) == 1 else "packages"
    verb = "is" if len(packages) == 1 else "are"
    return f"the {what} {', '.join(packages)} {verb} not installed: {command(packages)}"


def _extras() -> dict[str, set[str]]:
    """Return voiced's extras and what they bring, smallest first; of developers none."""
    extras: dict[str, set[str]] = {}
    try:
        wanted = metadata.requires("voiced") or []
    except metadata.PackageNotFoundError:  # run from its sources
        wanted = []
    for line in wanted:
        if found := _EXTRA.search(line):
            extras.setdefault(found[1], set()).add(canonical(line))
    extras.pop("test", None)
    return dict(sorted(extras.items(), key=lambda item: len(item[1])))


def declared(source: bytes) -> list[str]:
    """Return the DEPENDENCIES that a module's text names, where it cannot be run to be asked."""
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    for statement in statements:
        match statement:
            case ast.Assign(targets=[ast.Name(id="DEPENDENCIES")], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id="DEPENDENCIES"), value=ast.expr() as value):
                pass
            case _:
                continue
        if isinstance(value, ast.List | ast.Tuple):
            return [
                one.value
                for one in value.elts
                if isinstance(one, ast.Constant) and isinstance(one.value, str)
            ]
    return []
