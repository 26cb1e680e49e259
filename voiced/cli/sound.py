"""`python -m voiced.cli.sound list|test`: asks the sound library, prints one line of JSON."""

from __future__ import annotations

import json
import math
import sys
from typing import Any


def _library() -> Any:
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        print(json.dumps({"error": f"no sound library ({error}): apt-get install libportaudio2"}))
        sys.exit(1)
    return sounddevice


def _list() -> list[dict[str, Any]]:
    sounddevice = _library()
    default_in, default_out = sounddevice.default.device
    return [
        {
            "name": device["name"],
            "host_api": sounddevice.query_hostapis(device["hostapi"])["name"],
            "inputs": device["max_input_channels"],
            "outputs": device["max_output_channels"],
            "samplerate": device["default_samplerate"],
            "default": " ".join(
                word
                for word, chosen in (("in", default_in), ("out", default_out))
                if chosen == number
            ),
        }
        for number, device in enumerate(sounddevice.query_devices())
    ]


def _test(microphone: str, loudspeaker: str, seconds: float) -> dict[str, Any]:
    sounddevice = _library()
    import numpy as np

    try:
        source = sounddevice.query_devices(microphone or None, "input")
        sink = sounddevice.query_devices(loudspeaker or None, "output")
        rate = int(sink["default_samplerate"])
        at = np.arange(int(seconds * rate)) / rate
        edge = np.minimum(1.0, np.minimum(at, seconds - at) / 0.02)
        tone = (0.1 * edge * np.sin(2 * math.pi * 440.0 * at)).astype(np.float32)
        heard = sounddevice.playrec(
            tone, rate, channels=1, device=(source["name"], sink["name"]), blocking=True
        )
    except (ValueError, sounddevice.PortAudioError) as error:
        return {"error": f"{error}: `voiced devices` lists what there is"}
    peak = float(np.abs(heard).max())
    return {
        "input": source["name"],
        "output": sink["name"],
        "peak_dbfs": 20 * math.log10(max(peak, 1e-6)),
    }


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["list"]:
            print(json.dumps(_list()))
        case ["test", microphone, loudspeaker, seconds]:
            print(json.dumps(_test(microphone, loudspeaker, float(seconds))))
        case _:
            sys.exit(2)
