"""Twenty visitors who speak into a reply: how long does the voice go on?

What is measured. *Stamp*: when the network process says that the visitor speaks, which is the step
in which it writes the flush into shared memory. It reaches this test as `onUserSpeechStarted`;
arrival times become frames of the recording by the `/voiced/audio/started` message that came
soonest after the frame it names, so that the way of the messages cancels out but for its jitter.
*Silent*: the last frame of the card's own recording of the voice above -60 dBFS. Only interruptions
into sound count: within the 30 ms before the stamp the voice must be louder than that.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import analysis
from tests.daemon.rig import CONFIG, Daemon

pytest.importorskip("ctranslate2", reason="the embedded voice's engines are not installed")

VISITORS = Path(__file__).resolve().parents[2] / "voiced" / "cli" / "visitors"
TIMES = 20
ALLOWED_MS = 100.0
SPEAKING = 4.0
BEFORE_S = 0.03
# One long clause: no pause in which an interruption would go unnoticed.
PERSONA = """
name = "reader"
[[rule]]
heard = ['']
replies = ["The river carries many small wooden boats past the old mill and under the long stone \
bridge toward the wide harbour where a hundred hungry grey gulls are waiting for the fishermen"]
"""
CALL = "voice_agent"


def interrupters(folder: Path) -> list[Path]:
    """Write recordings that begin to speak at different moments after they are played.

    There are more than needed: some begin in a pause of the voice.
    """
    rate, speech = analysis.read_wav(VISITORS / "lv_0930.wav")
    words = speech[: int(1.1 * rate), 0]
    files = []
    for number in range(2 * TIMES):
        silence = np.zeros(int((0.2 + 0.021 * (number % TIMES)) * rate), np.int16)
        files.append(folder / f"{number}.wav")
        analysis.write_wav(files[-1], rate, np.concatenate([silence, words]))
    return files


@pytest.mark.timeout(420)
def test_the_voice_is_silent_within_100_ms_of_twenty_interruptions(tmp_path: Path) -> None:
    persona = tmp_path / "reader.toml"
    persona.write_text(PERSONA)
    recording = tmp_path / "conversation.wav"
    config = CONFIG.replace('output = ""', f'output = ""\nconversation = "{recording}"')
    agent = (
        f'[[agent]]\nname = "{CALL}"\n[agent.par]\nProvider = "local"\n'
        f'[agent.local]\npersona = "{persona}"\n'
    )
    files = interrupters(tmp_path)
    with Daemon(tmp_path / "d", agent, config=config) as daemon:
        daemon.send(f"/{CALL}/par/Connect")
        daemon.wait(f"/{CALL}/cb/onSessionStart")
        daemon.send(f"/{CALL}/say", "Welcome to the reading room")
        daemon.wait(f"/{CALL}/sig/phase", SPEAKING, 90.0)
        for file in files:
            since = daemon.mark()
            daemon.send("/voiced/audio/play", CALL, str(file))
            daemon.wait("/voiced/audio/ended", since=since)
            daemon.wait(f"/{CALL}/cb/onUserSpeechEnded", since=since)
            # Thinking, then the reply to it: the next one interrupts that.
            heard = daemon.wait(f"/{CALL}/cb/onUserText", lambda text, final, row: final == 1,
                                60.0, since=since)  # fmt: skip
            place = daemon.client.messages.index(heard)
            daemon.wait(f"/{CALL}/sig/phase", SPEAKING, 60.0, since=place)
            if file in files[TIMES - 1 :] and len(went_on_ms(daemon, recording)) >= TIMES:
                break
        daemon.send(f"/{CALL}/par/Disconnect")
        daemon.wait(f"/{CALL}/cb/onSessionEnd")
        daemon.stop()
        found = went_on_ms(daemon, recording)

    print(f"silent after {np.median(found):.0f} ms, at most {max(found):.0f}")
    assert len(found) >= TIMES, f"only {len(found)} interruptions fell into sound"
    assert max(found) <= ALLOWED_MS, sorted(found)


def went_on_ms(daemon: Daemon, recording: Path) -> list[float]:
    """Return how long the voice went on at each interruption into sound."""
    started = daemon.client.all("/voiced/audio/started")
    rate, pair = analysis.read_wav(recording)
    zero = min(message.at - message.args[2] / rate for message in started)
    loud = analysis.loud(pair[:, 1])
    found = []
    for stamp in daemon.client.all(f"/{CALL}/cb/onUserSpeechStarted"):
        frame = round((stamp.at - zero) * rate)
        if not loud[frame - round(BEFORE_S * rate) : frame].any():
            continue  # into a pause, or before the reply, or a stamp that came late
        following = np.flatnonzero(loud[frame : frame + round(0.4 * rate)])
        found.append(1000 * (int(following[-1]) + 1) / rate if len(following) else 0.0)
    return found
