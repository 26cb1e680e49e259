"""The floor: what the same devices allow, in 40 lines of sounddevice and websockets.

python bench/floor.py ws://127.0.0.1:PORT DEVICE BLOCK_MS
"""

import asyncio
import base64
import json
import sys
import time

import sounddevice as sd
import websockets

URL, DEVICE, BLOCK = sys.argv[1], sys.argv[2], 48 * int(sys.argv[3])


async def main() -> None:
    loop, near, far, heard = asyncio.get_running_loop(), asyncio.Queue(), bytearray(), 0

    def microphone(data, frames, when, status):
        loop.call_soon_threadsafe(near.put_nowait, bytes(data))

    def loudspeaker(out, frames, when, status):
        nonlocal heard
        take = min(len(out), len(far))
        out[:] = bytes(far[:take]) + bytes(len(out) - take)
        del far[:take]
        heard += take

    async def receive(ws):
        nonlocal heard
        async for text in ws:
            event = json.loads(text)
            if event["type"] == "response.output_audio.delta":
                if event["first"]:
                    heard = 0
                far.extend(base64.b64decode(event["delta"]))
            elif event["type"] == "input_audio_buffer.speech_started":
                far.clear()
                cut = {"type": "conversation.item.truncate", "audio_end_ms": heard // 96}
                await ws.send(json.dumps(cut))
            elif event["type"] == "spin":
                until = time.monotonic() + event["seconds"]
                while time.monotonic() < until:
                    pass

    options = {"samplerate": 48000, "blocksize": BLOCK, "device": DEVICE, "channels": 1,
               "dtype": "int16", "latency": "low"}  # fmt: skip
    async with websockets.connect(URL, compression=None) as ws:
        with (sd.RawInputStream(callback=microphone, **options),
              sd.RawOutputStream(callback=loudspeaker, **options)):  # fmt: skip
            reader = asyncio.create_task(receive(ws))
            while not reader.done():
                delta = base64.b64encode(await near.get()).decode()
                await ws.send(json.dumps({"type": "input_audio_buffer.append", "audio": delta}))


asyncio.run(main())
