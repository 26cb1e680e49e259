"""Names of Python packages, as whoever compares them must write them."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def canonical(name: str) -> str:
    """Return a package's name as indexes compare it (PEP 503), without version or marker."""
    found = _NAME.match(name)
    return re.sub(r"[-_.]+", "-", found[0] if found else name).lower()
