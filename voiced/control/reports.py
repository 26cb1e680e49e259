"""What the hands report, as inputs of the minds and words to the doors."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import assert_never

from voiced.control.hands import Hands
from voiced.control.key_command import completed
from voiced.control.midi import MidiDoor
from voiced.control.minds import Minds, edges_of
from voiced.control.osc.door import OscDoor
from voiced.control.visitors import Visitors
from voiced.lane.words import Owner
from voiced.messages.audio import (
    DeviceAbsent,
    DeviceLost,
    DeviceOpened,
    Devices,
    FileEnded,
    FileRefused,
    FileStarted,
    FromAudio,
)
from voiced.messages.framing import Hello
from voiced.messages.network import Catalogue, FromNetwork, NetworkTrouble
from voiced.mind.inputs import (
    AudioAbsent,
    AudioLost,
    AudioReady,
    GateMoved,
    InferenceLost,
    InferenceReady,
    NetworkLost,
    NetworkReady,
)

log = logging.getLogger("voiced")


class Reports:
    """Takes every report of every hand.

    Args:
        echo_free: whether the card's microphones cannot hear its loudspeakers.
        learned: called with each catalogue, after the minds have it.
        key_options: what `voiced key` must be told to reach this daemon.

    Attributes:
        stopping: the daemon ends; what ends with it is nobody's trouble.
    """

    def __init__(
        self,
        hands: Hands,
        minds: Minds,
        door: OscDoor,
        midi: MidiDoor,
        visitors: Visitors,
        echo_free: Callable[[], bool],
        learned: Callable[[Catalogue], None],
        key_options: str = "",
    ) -> None:
        self.stopping = False
        self._key_options = key_options
        self._hands, self._minds, self._door, self._midi = hands, minds, door, midi
        self._visitors, self._echo_free, self._learned = visitors, echo_free, learned
        self._seen_edges: dict[str, int] = {}
        self._audio_lost = ""

    def from_audio(self, message: FromAudio) -> None:
        """Take what audio says."""
        match message:
            case DeviceOpened():
                self._hands.inputs_open = message.inputs
                self._minds.put_all(
                    AudioReady(
                        device=message.output or message.input,
                        samplerate=message.samplerate,
                        echo_free=self._echo_free(),
                        inputs=message.inputs,
                    )
                )
                self.edges()
                self._light_lamps()
                for visitor in self._visitors.resumed(message.samplerate):
                    self._hands.audio.send(visitor)
            case DeviceAbsent():
                self._minds.put_all(AudioAbsent(sentence=message.sentence))
            case DeviceLost():
                # Its exit follows, and is told with this sentence: once, not twice.
                self._audio_lost = message.sentence
            case FileStarted(agent=agent, path=path, frame=frame):
                if self._visitors.started(agent, path):
                    self._door.said("/voiced/audio/started", agent, path, frame)
            case FileEnded(agent=agent, path=path, frame=frame):
                self._visitors.ended(agent)
                self._door.said("/voiced/audio/ended", agent, path, frame)
            case FileRefused(sentence=sentence):
                self._door.said("/voiced/error", "/voiced/audio/play", "bad_value", sentence)
            case Hello() | Devices():
                pass
            case _:
                assert_never(message)

    def from_network(self, message: FromNetwork) -> None:
        """Take what network says; how a key is set is said so that it works for this daemon."""
        message = completed(message, self._key_options)
        match message:
            case Catalogue():
                self._minds.put_all(NetworkReady(catalogue=message))
                self._door.changed()
                self._learned(message)
            case NetworkTrouble():
                self._minds.put_all(message)
            case Hello():
                pass
            case _:
                if message.agent in self._minds.agents:
                    self._minds.put(message.agent, message)

    def exited(self, owner: Owner, sentence: str, asked: bool) -> None:
        """A process is gone; `asked`: by stop or restart."""
        if not asked:
            log.warning("! %s", sentence)
        if self.stopping:
            return
        match owner:
            case Owner.AUDIO:
                sentence, self._audio_lost = self._audio_lost or sentence, ""
                if not asked:
                    self._minds.put_all(AudioLost(sentence=sentence))
                    self._light_lamps()
            case Owner.NETWORK:
                self._minds.put_all(NetworkLost(sentence=sentence, asked=asked))
            case Owner.INFERENCE if not asked:
                self._minds.put_all(InferenceLost(sentence=sentence))
            case _:
                pass

    def inference_ready(self) -> None:
        """Take that inference says Hello."""
        self._minds.put_all(InferenceReady())

    def edges(self) -> None:
        """Take what the callback noted: the real gate."""
        self._hands.edge_wake.clear()
        for name, frame, is_open, serial in edges_of(self._hands.lanes, self._seen_edges):
            self._minds.put(name, GateMoved(frame=frame, open=is_open, serial=serial))
            self._midi.show_gate(name, is_open)

    def _light_lamps(self) -> None:
        """Show every pedal the real gate: there is none without a card, whatever the last edge."""
        now = self._minds.instant()
        for name, agent in self._minds.agents.items():
            self._midi.show_gate(name, bool(agent.signals(now)["mic_open"]))
