"""The local voice: hears, answers and speaks without a key and without the internet.

A realtime voice service in one process behind one local socket (`voiced.messages.inference`). From
the inside out: `conversation` decides where turns start and end (pure, its time is samples);
`vad`, `recogniser`, `reply` and `speech` are the engines, `models` knows where their weights lie;
`dialogue` is one conversation at work; `service` keeps all of them; `__main__` is the program.
"""

import os

# onnxruntime tells its maker of its use, over the internet, unless this stands before its import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
