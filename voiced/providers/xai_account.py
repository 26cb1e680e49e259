"""What an xAI conversation costs: minutes of audio, texts, searches.

The service's account is a running total of the conversation, whole seconds of audio in and out
together: what a reply cost is by how much it grew, and a lower one than before costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from voiced.providers import prices
from voiced.providers.realtime_dialect import usage
from voiced.providers.realtime_dialect.client import ClientItem, OutputItem
from voiced.providers.realtime_dialect.conversation import Conversation
from voiced.providers.realtime_dialect.dialect import Bill
from voiced.providers.realtime_dialect.server import ResponseDone
from voiced.providers.xai_session import FILES, RESERVED

NAME = "xai_grok"
_TOTAL_MOST = 1e7
"""Seconds; more is no account of a conversation."""


class Account:
    """The account of one connection.

    Args:
        model: whose prices count.
        carried: seconds that earlier connections of the conversation have paid for.

    Attributes:
        seconds: the running total so far.
    """

    def __init__(self, model: str, carried: float = 0.0) -> None:
        self._minute = _rate(model, prices.xai_audio_minute)
        self._text = _rate(model, prices.xai_text_item)
        self.seconds = carried
        self._carried = carried > 0

    def reply(self, conversation: Conversation, done: ResponseDone) -> Bill | None:
        """Return what a reply and what was said before it cost; None = there is no account."""
        told = usage.of_response(done)
        total = None if told is None else told.billable_audio_seconds
        if total is None or not 0 <= total <= _TOTAL_MOST:
            return None
        if self._carried and total < self.seconds:
            self.seconds = 0.0  # It counts from the beginning with every connection.
        self._carried = False
        grown = max(0.0, total - self.seconds)
        self.seconds = max(self.seconds, total)
        return Bill(grown / 60 * self._minute, f"{grown:g} s of audio, {self.seconds:g} s in all")

    def item(self, conversation: Conversation, item: ClientItem) -> Bill | None:
        """Return what an item costs; the results of tools are free."""
        return None if isinstance(item, OutputItem) else Bill(self._text, "a text")


def search(name: str) -> Bill:
    """Return what a call of one of the service's own tools costs."""
    if name not in RESERVED:
        return Bill(0.0, name)
    usd = prices.xai_search("file_search" if name in FILES else "web_search")
    return Bill(usd or 0.0, f"a call of {name}")


def _rate(model: str, of: Callable[[str], float | None]) -> float:
    """Return a rate of a model; of one that is not listed, the dearest."""
    usd = of(model)
    if usd is not None:
        return usd
    rates = (of(each) for each in prices.models(NAME))
    return max((rate for rate in rates if rate is not None), default=0.0)
