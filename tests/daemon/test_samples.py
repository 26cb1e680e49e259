"""The samples of docs/providers.md: dropped into a folder, one talks, one is told its mistakes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.analysis import read_wav, write_wav
from tests.cli.test_verbs import voiced
from tests.daemon.rig import CONFIG, ROOT, Daemon

PAGE = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
A = "/voice_agent"
RATE = 48_000
SPOKEN_HZ = 440
AGENT = """
[[agent]]
name = "voice_agent"
output_channels = [1]
[agent.par]
Providersfolder = "{folder}"
Provider = "parrot"
"""
WRONG = (
    "TRANSPORT", "SAMPLE_RATE_OUT", "MAX_SESSION_S", "CATCHUP_PACE", "KEY_SERVER", "DEPENDENCIES",
    "pricing", "is_available", "start_session", "send_tool_response", "get_persistable_state",
    "send_video_frame",
)  # fmt: skip
"""What the broken sample gets wrong, by reading it."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with every sample of the page, as a reader would save them."""
    place = tmp_path / "providers"
    place.mkdir(mode=0o755)
    fence = r"<!-- sample (\S+) -->\n```python\n(.*?)```"
    for name, source in re.findall(fence, PAGE, re.DOTALL):
        (place / name).write_text(source)
        (place / name).chmod(0o644)
    return place


def test_the_sample_is_about_a_hundred_lines_and_talks(tmp_path: Path, folder: Path) -> None:
    source = (folder / "provider_parrot.py").read_text()
    assert len([line for line in source.splitlines() if line.strip()]) <= 100
    seconds = np.arange(RATE) / RATE
    tone = 0.5 * np.sin(2 * np.pi * SPOKEN_HZ * seconds)
    write_wav(tmp_path / "visitor.wav", RATE, np.concatenate([np.zeros(RATE // 2), tone]))
    config = CONFIG.replace('output = ""', 'output = "heard.wav"\ninput = "visitor.wav"')
    with Daemon(tmp_path, AGENT.format(folder=folder), config=config) as daemon:
        assert daemon.ask(f"{A}/par/Pricing") == ("peanuts",)
        daemon.send(f"{A}/par/Connect")
        daemon.wait(f"{A}/cb/onUserText", lambda text, final, row: final == 1)
        daemon.wait(f"{A}/cb/onAssistantText", lambda text, final, row: "Squawk" in text)
        daemon.wait(f"{A}/sig/assistant_speaking", 1.0)
        since = daemon.mark()
        daemon.wait(f"{A}/sig/assistant_speaking", 0.0, since=since)
        daemon.send(f"{A}/par/Sendtext", "pretty bird")
        daemon.wait(f"{A}/cb/onAssistantText", lambda text, final, row: text.endswith("bird"))
        assert daemon.stop() == 0
    loudest = spectrum_peak(tmp_path / "heard.wav")
    assert loudest == pytest.approx(1.5 * SPOKEN_HZ, abs=3), "higher by its pitch, and heard"


def spectrum_peak(file: Path) -> float:
    """Return the strongest frequency of a wav's first channel, Hz."""
    rate, samples = read_wav(file)
    spectrum = np.abs(np.fft.rfft(samples if samples.ndim == 1 else samples[:, 0]))
    return float(np.argmax(spectrum) * rate / len(samples))


def test_the_broken_sample_is_listed_with_everything_that_is_wrong(folder: Path) -> None:
    told = voiced("providers", "--json", "--folder", str(folder))
    cards = {card["name"]: card for card in json.loads(told.stdout)}
    assert cards["parrot"]["available"]
    broken = cards["broken"]
    assert not broken["available"]
    sentences = broken["reason"].split("; ")
    for name in WRONG:
        assert any(name in sentence for sentence in sentences), name
    part = re.search(r"<!-- told provider_broken.py -->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert part is not None
    on_the_page = [line.removeprefix("- ") for line in part[1].splitlines()]
    assert len(on_the_page) == len(WRONG)
    assert "; ".join(on_the_page) == broken["reason"], "as the page says"
