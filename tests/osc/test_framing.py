from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc import slip

from voiced.control.osc.codec import PacketError
from voiced.control.osc.framing import Deframer, frame_sized, frame_slip

packets = st.lists(st.binary(max_size=60).map(lambda tail: b"/" + tail), min_size=1, max_size=8)
pieces = st.lists(st.integers(1, 40), min_size=1, max_size=20)


def fed(stream: bytes, sizes: list[int]) -> list[bytes]:
    deframer = Deframer()
    found: list[bytes] = []
    n = 0
    while stream:
        size = sizes[n % len(sizes)]
        found += deframer.feed(stream[:size])
        stream = stream[size:]
        n += 1
    return found


@given(packets, pieces)
def test_sized_packets_come_out_however_the_stream_is_cut(
    sent: list[bytes], sizes: list[int]
) -> None:
    assert fed(b"".join(map(frame_sized, sent)), sizes) == sent


@given(packets, pieces)
def test_slip_packets_come_out_however_the_stream_is_cut(
    sent: list[bytes], sizes: list[int]
) -> None:
    assert fed(b"".join(map(frame_slip, sent)), sizes) == sent


@given(packets)
def test_slip_is_what_another_codec_means_by_it(sent: list[bytes]) -> None:
    assert fed(b"".join(slip.encode(packet) for packet in sent), [7]) == sent
    assert [slip.decode(frame_slip(packet)) for packet in sent] == sent


def test_slip_may_begin_with_the_packet_itself() -> None:
    deframer = Deframer()
    assert deframer.feed(b"/abc\0\0\0\0\xc0") == [b"/abc\0\0\0\0"]
    assert deframer.slip


@pytest.mark.parametrize(
    "stream",
    [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"\x00\x7f\xff\xff", b"\xc0/\xdbx\xc0",
     b"\xc0/\xdb\xc0", b"\xc0" + b"/" * 300_000],
)  # fmt: skip
def test_what_is_no_framing_is_refused(stream: bytes) -> None:
    with pytest.raises(PacketError):
        Deframer().feed(stream)


def test_nothing_is_kept_of_a_stream_that_is_done() -> None:
    deframer = Deframer()
    for _ in range(1000):
        deframer.feed(frame_sized(b"/abcdefg" * 100))
    assert len(deframer._rest) == 0
