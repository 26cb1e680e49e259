"""Between control and the audio process. Samples, positions and edges are in shared memory."""

from __future__ import annotations

from typing import TypeAlias

from voiced.messages.framing import Attach, Hello, Message, Shutdown


class LaneChannels(Message, frozen=True, kw_only=True):
    """Which channels of the device one agent uses; channels count from 1."""

    agent: str
    inputs: tuple[int, ...]
    """Averaged to mono; lanes may share channels."""
    outputs: tuple[int, ...]
    """Each gets this lane's mono reply; lanes that share a channel are summed and clipped once."""


class VirtualCard(Message, frozen=True, kw_only=True):
    """The clock-driven card: what its microphones hear, where its loudspeakers go."""

    inputs: dict[str, str]
    """Agent name -> wav file, played from that agent's first open gate; absent: silence."""
    output: str
    """Wav file that gets every output channel, frame n = output frame n; "" = nowhere."""
    conversation: str = ""
    """Stereo wav file, left = near, right = far of the first lane, frame n = near frame n."""


class OpenDevice(Message, frozen=True, kw_only=True):
    """Sent by control: open this pair of devices. A second one needs a new process."""

    backend: str
    """"portaudio" or "virtual"."""
    input: str
    """Name or part of it, "" = the system's default, "-" = none."""
    output: str
    samplerate: int
    input_block: int
    """Frames; 0 = what suits the host API and the direction."""
    output_block: int
    missing: str
    """"wait" or "default": what to do while the named device is absent."""
    append_frames: int
    """Set the near wake once per this many near frames."""
    lanes: list[LaneChannels]
    inputs_wanted: int = 0
    """Open so many input channels at least, where the device has them: agents may change theirs."""
    virtual: VirtualCard | None = None


class ListDevices(Message, frozen=True, kw_only=True):
    """Sent by control: answer with Devices."""


class PlayFile(Message, frozen=True, kw_only=True):
    """Sent by control: the virtual card's microphone of `agent` plays a wav file next.

    Its first frame goes into the next block; audio answers FileStarted and FileEnded.
    """

    agent: str
    path: str
    skip_frames: int = 0
    """Frames of the card to leave out at its start: a visitor whom a new process finds speaking."""


class DeviceOpened(Message, frozen=True, kw_only=True):
    """Sent by audio: the streams run; the epoch is in the log."""

    host_api: str
    input: str
    """Full name as the host tells it; "" if there is no input."""
    output: str
    samplerate: int
    duplex: bool
    input_block: int
    output_block: int
    realtime: bool
    """Whether the realtime priority was granted."""
    inputs: int = 0
    """Input channels that are open."""


class DeviceAbsent(Message, frozen=True, kw_only=True):
    """Sent by audio: there is no such device now; it goes on looking once a second."""

    sentence: str


class DeviceLost(Message, frozen=True, kw_only=True):
    """Sent by audio just before it exits: the device or its server stopped serving."""

    sentence: str


class DeviceRow(Message, frozen=True, kw_only=True):
    """One device of the host."""

    name: str
    host_api: str
    inputs: int
    outputs: int
    samplerate: float
    default_input: bool
    default_output: bool


class Devices(Message, frozen=True, kw_only=True):
    """Sent by audio: what there is."""

    devices: list[DeviceRow]


class FileStarted(Message, frozen=True, kw_only=True):
    """Sent by the virtual card: the file's first frame is near frame `frame`."""

    agent: str
    path: str
    frame: int


class FileEnded(Message, frozen=True, kw_only=True):
    """Sent by the virtual card: the file's last frame was near frame `frame` - 1."""

    agent: str
    path: str
    frame: int


class FileRefused(Message, frozen=True, kw_only=True):
    """Sent by the virtual card: PlayFile names no agent or no readable wav file."""

    agent: str
    path: str
    sentence: str


ToAudio: TypeAlias = Hello | Attach | OpenDevice | ListDevices | PlayFile | Shutdown
FromAudio: TypeAlias = (
    Hello
    | DeviceOpened
    | DeviceAbsent
    | DeviceLost
    | Devices
    | FileStarted
    | FileEnded
    | FileRefused
)
