"""Which device is meant, how many channels of it, which blocks: rows in, a choice out."""

from __future__ import annotations

import pytest

from voiced.audio import hosts
from voiced.errors import DeviceError
from voiced.messages.audio import DeviceRow, LaneChannels


def row(name, inputs=2, outputs=2, host_api="ALSA", **fields):
    defaults = {"samplerate": 48000.0, "default_input": False, "default_output": False}
    return DeviceRow(
        name=name, host_api=host_api, inputs=inputs, outputs=outputs, **{**defaults, **fields}
    )


ROWS = [
    row("Scarlett 18i20: USB Audio", 18, 20),
    row("Webcam", 1, 0),
    row("HDMI", 0, 8),
    row("default", 32, 32, default_input=True, default_output=True),
    row("system", 4, 4, hosts.JACK),
]


@pytest.mark.parametrize(
    ("wanted", "direction", "found"),
    [
        ("", "input", "default"),
        ("scarlett", "output", "Scarlett 18i20: USB Audio"),
        ("Webcam", "input", "Webcam"),
        ("system, JACK", "output", "system"),
        ("jack", "output", "system"),
    ],
)
def test_a_name_or_a_part_or_nothing_finds_the_device(wanted, direction, found):
    assert hosts.choose(ROWS, wanted, direction, "wait").name == found


def test_a_whole_name_goes_before_a_part_and_the_default_before_others():
    rows = [row("USB Audio 2"), row("USB Audio"), row("usb default", default_output=True)]
    assert hosts.choose(rows, "usb audio", "output", "wait").name == "USB Audio"
    assert hosts.choose(rows, "usb", "output", "wait").name == "usb default"


@pytest.mark.parametrize(("wanted", "direction"), [("Webcam", "output"), ("HDMI", "input")])
def test_a_device_without_that_direction_is_not_found(wanted, direction):
    with pytest.raises(DeviceError) as told:
        hosts.choose(ROWS, wanted, direction, "wait")
    assert f'no {direction} device "{wanted}"' in str(told.value)
    assert '"system" (JACK Audio Connection Kit)' in str(told.value)
    assert f"audio.{direction}" in str(told.value)


def test_a_jack_server_is_reached_by_itself_not_through_alsas_plugin():
    plugin = row("jack", default_input=True, default_output=True)
    system = row("system", host_api=hosts.JACK)
    assert hosts.choose([plugin, system], "", "input", "wait") is system
    assert hosts.choose([plugin, system], "jack", "output", "wait") is system
    assert hosts.choose([plugin], "jack", "output", "wait") is plugin


def test_a_missing_device_is_replaced_by_the_default_only_where_that_is_wanted():
    assert hosts.choose(ROWS, "Gone", "input", "default").name == "default"


def test_no_device_at_all_says_what_to_do():
    with pytest.raises(DeviceError, match='audio.output = "-"'):
        hosts.choose([row("Webcam", 1, 0)], "", "output", "wait")


def lane(inputs=(1,), outputs=(1,)):
    return LaneChannels(agent="guide", inputs=inputs, outputs=outputs)


def test_as_many_channels_are_opened_as_the_lanes_use():
    lanes = [lane((1,), (1, 2)), lane((3,), (2,))]
    assert hosts.check_channels(ROWS[0], lanes, "input") == 3
    assert hosts.check_channels(ROWS[0], lanes, "output") == 2
    has = ROWS[0].inputs
    assert hosts.check_channels(ROWS[0], lanes, "input", has) == has
    assert hosts.check_channels(ROWS[0], lanes, "input", has + 5) == has, "no more than it has"
    assert hosts.check_channels(ROWS[0], lanes, "input", 1) == 3
    assert hosts.check_channels(ROWS[0], [lane((), ())], "output") == 1


@pytest.mark.parametrize("channel", [0, 5])
def test_a_channel_that_is_not_there_is_named_with_how_many_there_are(channel):
    with pytest.raises(DeviceError) as told:
        hosts.check_channels(ROWS[4], [lane((1,), (1, channel))], "output")
    assert f"guide asks for output channel {channel}" in str(told.value)
    assert '"system" has 4' in str(told.value)


def test_blocks_suit_host_and_direction_unless_asked():
    assert hosts.blocksize(ROWS[4], "input", 0, 48000) == 0
    assert hosts.blocksize(ROWS[3], "input", 0, 48000) == 480
    assert hosts.blocksize(ROWS[3], "output", 0, 48000) == 240
    assert hosts.blocksize(ROWS[3], "output", 0, 96000) == 480
    assert hosts.blocksize(ROWS[3], "output", 333, 48000) == 333


def test_only_one_and_the_same_jack_device_is_duplex():
    assert hosts.is_duplex(ROWS[4], ROWS[4])
    assert not hosts.is_duplex(ROWS[3], ROWS[3])
    assert not hosts.is_duplex(ROWS[4], row("other", host_api=hosts.JACK))
