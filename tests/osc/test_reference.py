from __future__ import annotations

from pathlib import Path

from tests.osc.fake import FakeSurface
from voiced.control.osc.address import DAEMON_WORDS
from voiced.control.osc.daemon import Daemon
from voiced.control.osc.reference import CODES, described, markdown
from voiced.parameters import ADDRESSES, ROWS, Refusal

DOCS = Path(__file__).parents[2] / "docs" / "addresses.md"


def test_the_written_reference_is_fresh() -> None:
    assert DOCS.read_text() == markdown(), "run: voiced addresses --markdown > docs/addresses.md"


def test_every_address_describes_itself() -> None:
    surface = FakeSurface()
    for name in ROWS:
        text = described(surface, f"/voice_agent/par/{name}")
        assert not isinstance(text, Refusal)
        assert text[5].startswith(ROWS[name].doc)
    for entry in ADDRESSES:
        if "<Name>" in entry.address or "<provider>" in entry.address or "<name>" in entry.address:
            continue
        address = entry.address.replace("<agent>", "voice_agent")
        if "/sig/" not in address:
            assert not isinstance(described(surface, address), Refusal), address


def test_every_daemon_word_that_takes_something_is_acted_on() -> None:
    daemon = Daemon(*[None] * 8)  # type: ignore[arg-type]
    for word, entry in DAEMON_WORDS.items():
        assert (entry.takes is None) or entry.later or word in daemon._words, word


def test_no_address_is_listed_twice() -> None:
    addresses = [entry.address for entry in ADDRESSES]
    assert len(set(addresses)) == len(addresses)
    assert len(set(CODES)) == 12
