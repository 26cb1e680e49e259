"""What came of each item of a reply, and what a cut makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voiced.providers.contract import HeardItem
from voiced.providers.realtime_dialect.client import ItemDelete, ItemTruncate

TRUNCATE, DELETE = "cut", "del"
"""How the names of truncations and deletions begin."""
KEPT = 256
"""Items remembered: those of a few minutes, far more than may still sound."""


@dataclass
class Item:
    """One item of a reply, as far as it has come."""

    id: str
    response: str
    content_index: int = 0
    received: int = 0
    """Bytes of sound."""
    written: bool = False
    """It is text without sound."""
    call: bool = False
    cut: bool = False
    """The service was told how much of it was heard."""


class Items:
    """The items of the replies, newest last.

    Args:
        rate: samples a second of what the service sends (int16).
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._items: dict[str, Item] = {}

    def of(self, response: str, item: str, content_index: int = 0) -> Item:
        """Return an item; a new one if this is its first sign."""
        name = named(item, content_index)
        if name not in self._items:
            self._items[name] = Item(item, response, content_index)
            while len(self._items) > KEPT:
                del self._items[next(iter(self._items))]
        return self._items[name]

    def received_ms(self, item: Item) -> int:
        """Return the milliseconds of sound that have come of an item, floored."""
        return item.received * 1000 // (2 * self._rate)

    def cut(self, heard: Sequence[HeardItem], running: str) -> list[ItemTruncate | ItemDelete]:
        """Return what to tell the service so that it remembers what was heard, and no more.

        Items heard to their end stay as they are; items of which nothing was heard go.

        Args:
            heard: what the loudspeaker said of what was cut.
            running: the reply that was being sent at that moment, "" if none was; items of it that
                are not in `heard` had no sound yet.
        """
        told: list[ItemTruncate | ItemDelete] = []
        known = set()
        for each in heard:
            item = self._items.get(each.item)
            known.add(each.item)
            if item is None or item.cut or each.complete:
                continue
            item.cut = True
            ms = min(each.ms, self.received_ms(item))
            told.append(_truncation(item, ms))
        for name, item in self._items.items():
            silent = item.response == running and name not in known
            if running and silent and not (item.cut or item.written or item.call):
                item.cut = True
                told.append(_truncation(item, 0))
        return told


def named(item: str, content_index: int) -> str:
    """Return the name under which a part of an item sounds: almost always the item's own."""
    return item if content_index == 0 else f"{item}#{content_index}"


def _truncation(item: Item, ms: int) -> ItemTruncate | ItemDelete:
    if ms <= 0 and item.content_index == 0:
        return ItemDelete(event_id=f"{DELETE}_{item.id}"[:32], item_id=item.id)
    return ItemTruncate(
        event_id=f"{TRUNCATE}_{item.id}"[:32],
        item_id=item.id,
        content_index=item.content_index,
        audio_end_ms=max(0, ms),
    )
