from __future__ import annotations

import contextlib
import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_message import OscMessage

from tests.osc.wire import built
from voiced.control.osc.codec import (
    MAX_BUNDLE,
    PacketError,
    decode,
    encode,
    encode_bundles,
    split_text,
)
from voiced.errors import LocalProtocolError

ints = st.integers(-(2**31), 2**31 - 1)
floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
addresses = st.from_regex(r"(/[A-Za-z0-9_]{1,12}){1,4}", fullmatch=True)


def bundle(*elements: bytes, timetag: int = 1) -> bytes:
    body = b"".join(struct.pack(">i", len(e)) + e for e in elements)
    return b"#bundle\0" + struct.pack(">Q", timetag) + body


@given(addresses, st.lists(ints | floats | texts, max_size=8))
def test_what_goes_out_is_read_by_another_codec(
    address: str, args: list[int | float | str]
) -> None:
    message = OscMessage(encode(address, args))
    assert message.address == address
    assert list(message.params) == args


@given(
    addresses,
    st.lists(
        st.tuples(st.just("i"), ints)
        | st.tuples(st.just("f"), floats)
        | st.tuples(st.just("s"), texts)
        | st.tuples(st.just("d"), st.floats(allow_nan=False))
        | st.tuples(st.just("h"), st.integers(-(2**63), 2**63 - 1))
        | st.tuples(st.just("T"), st.just(True))
        | st.tuples(st.just("F"), st.just(False))
        | st.tuples(st.just("N"), st.none())
        | st.tuples(st.just("b"), st.binary(min_size=1, max_size=20)),
        max_size=8,
    ),
)
def test_what_another_codec_sends_is_read(address: str, args: list[tuple[str, object]]) -> None:
    tags = "".join(tag for tag, _ in args)
    (message,) = decode(built(address, *(value for _, value in args), tags=tags))
    assert message.address == address
    assert message.tags == tags
    assert list(message.args) == [value for _, value in args]


@given(st.lists(st.tuples(addresses, texts), max_size=30))
@settings(max_examples=40, deadline=None)
def test_bundles_are_small_and_read_by_another_codec(messages: list[tuple[str, str]]) -> None:
    packets = encode_bundles([encode(a, [t]) for a, t in messages])
    read = []
    for packet in packets:
        assert len(packet) <= MAX_BUNDLE
        assert packet[8:16] == b"\0\0\0\0\0\0\0\1"
        read += [(m.address, m.params[0]) for m in OscBundle(packet)]
    assert read == messages


def test_a_bundle_too_small_for_a_message_lets_it_go_alone() -> None:
    long = encode("/a", ["x" * 2000])
    assert encode_bundles([encode("/a"), long, encode("/b")])[0] == long


def test_out_go_only_ints_floats_and_strings() -> None:
    packet = encode("/a", [True, False, 2**31, 1e300, "a\0b", -(2**31)])
    (message,) = decode(packet)
    assert message.tags == "iisssi"
    assert message.args == (1, 0, "2147483648", "1e+300", "ab", -(2**31))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_never_goes_out(number: float) -> None:
    with pytest.raises(LocalProtocolError):
        encode("/a", [number])


@given(texts, st.integers(4, 50))
def test_long_texts_are_cut_between_characters(text: str, limit: int) -> None:
    parts = split_text(text, limit)
    assert "".join(parts) == text
    assert all(len(part.encode()) <= limit for part in parts)


def test_bundles_are_opened_in_order_with_their_own_time() -> None:
    packet = bundle(
        encode("/a"), bundle(encode("/b"), encode("/c"), timetag=7), encode("/d"), timetag=5
    )
    assert [(m.address, m.timetag) for m in decode(packet)] == [
        ("/a", 5), ("/b", 7), ("/c", 7), ("/d", 5),
    ]  # fmt: skip


def test_eight_bundles_deep_is_the_end() -> None:
    packet = encode("/a")
    for _ in range(8):
        packet = bundle(packet)
    assert len(decode(packet)) == 1
    with pytest.raises(PacketError, match="deeper than 8"):
        decode(bundle(packet))


def test_nine_hundred_bundles_deep_is_one_refusal() -> None:
    packet = b""
    for _ in range(900):
        packet = bundle(packet) if packet else bundle()
    assert len(packet) > 17_000
    with pytest.raises(PacketError):
        decode(packet)


BROKEN = {
    "empty": b"",
    "one byte": b"/",
    "three bytes": b"/a\0",
    "not aligned": b"/a\0\0,\0\0\0\0",
    "no slash": b"abc\0,\0\0\0",
    "no end of address": b"/abc",
    "address padded with letters": b"/a\0x,\0\0\0",
    "no tags but an argument": b"/a\0\0\0\0\0\1",
    "tags without end": b"/a\0\0,iii",
    "tags padded with letters": b"/a\0\0,i\0x\0\0\0\1",
    "argument missing": b"/a\0\0,i\0\0",
    "argument too much": b"/a\0\0,i\0\0\0\0\0\1\0\0\0\2",
    "double cut short": b"/a\0\0,d\0\0\0\0\0\1",
    "string without end": b"/a\0\0,s\0\0abcd",
    "string padded with letters": b"/a\0\0,s\0\0ab\0x",
    "string is no UTF-8": b"/a\0\0,s\0\0\xff\xfe\0\0",
    "string is a surrogate": b"/a\0\0,s\0\0\xed\xa0\x80\0",
    "blob of minus one": b"/a\0\0,b\0\0\xff\xff\xff\xff",
    "blob of two billion": b"/a\0\0,b\0\0\x7f\xff\xff\xff",
    "blob padded with letters": b"/a\0\0,b\0\0\0\0\0\1axxx",
    "blob without size": b"/a\0\0,b\0\0",
    "midi cut short": b"/a\0\0,m\0\0",
    "unknown type": b"/a\0\0,X\0\0",
    "array": b"/a\0\0,[i]\0\0\0\0\0\0\0\1",
    "blank in the address": b"/a b\0\0\0\0,\0\0\0",
    "umlaut in the address": b"/\xc3\xa4\0,\0\0\0",
    "bundle cut short": b"#bundle\0",
    "bundle with half a timetag": b"#bundle\0\0\0\0\1",
    "bundle element of 0": b"#bundle\0" + b"\0" * 7 + b"\1" + b"\0\0\0\0" + b"/a\0\0",
    "bundle element of -4": b"#bundle\0" + b"\0" * 7 + b"\1" + b"\xff\xff\xff\xfc" + b"/a\0\0",
    "bundle element too long": b"#bundle\0" + b"\0" * 7 + b"\1" + b"\0\0\0\x20" + b"/a\0\0",
    "bundle element of 3": b"#bundle\0" + b"\0" * 7 + b"\1" + b"\0\0\0\3" + b"/a\0\0",
    "bundle with a tail": b"#bundle\0" + b"\0" * 7 + b"\1" + b"\0\0",
    "a long address": b"/" + b"a" * 300 + b"\0\0\0" + b",\0\0\0",
    "300 arguments": b"/a\0\0," + b"T" * 300 + b"\0\0\0",
    "70000 bytes": b"/" + b"a" * 70_000,
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_packet_is_refused_with_a_sentence(name: str) -> None:
    with pytest.raises(PacketError) as caught:
        decode(BROKEN[name])
    assert len(str(caught.value)) > 10


@given(st.binary(max_size=200))
def test_any_bytes_are_messages_or_one_refusal(packet: bytes) -> None:
    with contextlib.suppress(PacketError):
        decode(packet)


def test_a_message_without_tag_string_is_a_query() -> None:
    (message,) = decode(b"/abc\0\0\0\0")
    assert message.args == ()
