"""The audio process: microphone to near ring, speaker ring to loudspeaker, and nothing else.

Crash-only: when the device or its server dies this process exits and a new one is started, which
goes on from the counters in shared memory.
"""
