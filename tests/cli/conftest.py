"""Verbs that read keys hide their process from then on; a test's own is not to be."""

from __future__ import annotations

import pytest

READ_KEYS = ("key", "check", "providers")


@pytest.fixture(autouse=True)
def hidden(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return which verbs that ran in this process asked to be hidden."""
    asked: list[str] = []
    for verb in READ_KEYS:
        monkeypatch.setattr(f"voiced.cli.{verb}.hide_memory", lambda verb=verb: asked.append(verb))
    return asked
