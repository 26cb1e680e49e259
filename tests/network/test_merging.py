"""Words for a control that is behind."""

from __future__ import annotations

import asyncio
import socket

from hypothesis import given
from hypothesis import strategies as st

from voiced.messages.framing import Decoder, Hello
from voiced.messages.network import AssistantText, FromNetwork, ResponseDone, UserText
from voiced.messages.secrets import Secrets
from voiced.network.merging import LONGEST, Merging
from voiced.network.service import Channel


def _reply(item: str, text: str, *, delta: bool) -> AssistantText:
    return AssistantText(agent="a", leg=1, response="r", item=item, text=text, delta=delta)


def _user(item: str, text: str, *, delta: bool) -> UserText:
    return UserText(agent="a", leg=1, item=item, text=text, delta=delta)


def _read(messages: list[AssistantText | UserText]) -> dict[object, str]:
    """Return every text as whoever reads these messages knows it in the end."""
    found: dict[object, str] = {}
    for one in messages:
        key = type(one), one.item
        found[key] = (found.get(key, "") if one.delta else "") + one.text
    return found


WORDS = st.builds(
    lambda make, item, text, delta: make(item, text, delta=delta),
    st.sampled_from([_reply, _user]), st.sampled_from("xyz"), st.text(max_size=3), st.booleans(),
)  # fmt: skip


@given(st.lists(WORDS))
def test_what_is_read_is_the_same(words: list[AssistantText | UserText]) -> None:
    """Put together or piece by piece: the same texts, and one message for each."""
    merging = Merging()
    for one in words:
        assert merging.add(one)
    merged = merging.take()
    assert _read(merged) == _read(words)
    assert len(merged) == len(_read(words))
    assert not merging


@given(st.lists(WORDS), st.lists(WORDS))
def test_what_was_told_before_stays(told: list[AssistantText], later: list[AssistantText]) -> None:
    """Pieces that wait go on where the ones told before them ended."""
    merging = Merging()
    for one in later:
        merging.add(one)
    assert _read([*told, *merging.take()]) == _read([*told, *later])


def test_a_place_is_not_lost() -> None:
    """Where a turn lies is known from whichever piece told it."""
    merging = Merging()
    merging.add(UserText(agent="a", leg=1, item="x", text="Hal", start_frame=5))
    merging.add(UserText(agent="a", leg=1, item="x", text="Hallo", end_frame=9))
    (both,) = merging.take()
    assert both == UserText(agent="a", leg=1, item="x", text="Hallo", start_frame=5, end_frame=9)


def test_no_text_grows_without_end() -> None:
    """A message has a longest length: from there on a text is told."""
    merging = Merging()
    assert merging.add(_reply("x", "a" * (LONGEST // 2), delta=True))
    assert not merging.add(_reply("x", "a" * (LONGEST // 2), delta=True))


def test_a_flood_reaches_a_slow_control_as_few_messages() -> None:
    """Control reads nothing for a while: it then finds every word, in few messages, and the end."""

    async def flood() -> list[object]:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        channel = Channel(lambda _: None, lambda _: None, Secrets())
        transport, _ = await loop.create_connection(lambda: channel, sock=theirs)
        for number in range(20_000):
            channel.send(_reply("x", f"{number} ", delta=True))
        channel.send(ResponseDone(agent="a", leg=1, response="r", status="completed"))
        decoder: Decoder[object] = Decoder(FromNetwork | Hello)  # type: ignore[arg-type]
        read: list[object] = []
        async with asyncio.timeout(20.0):
            while not isinstance(read[-1:] and read[-1], ResponseDone):
                read += decoder.receive(await loop.sock_recv(ours, 65536))
        transport.close()
        ours.close()
        return read

    hello, *words, _ = asyncio.run(flood())
    assert isinstance(hello, Hello)
    text = "".join(one.text for one in words if isinstance(one, AssistantText))
    assert text == "".join(f"{number} " for number in range(20_000))
    assert len(words) < 10_000
