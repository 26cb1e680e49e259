"""The floor: what the same devices allow, in some lines of sounddevice and websockets.

python bench/floor.py ws://127.0.0.1:PORT DEVICE BLOCK_MS; the key is in OPENAI_API_KEY

Every second sample is sent and every sample is played twice: no filter is quicker.
"""

import asyncio
import base64
import json
import os
import sys
import time
from array import array

import sounddevice as sd
import websockets

URL, DEVICE, BLOCK = sys.argv[1] + "/v1/realtime?model=tone", sys.argv[2], 48 * int(sys.argv[3])
KEY = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}


async def main() -> None:
    loop, near, far, heard, item = asyncio.get_running_loop(), asyncio.Queue(), bytearray(), 0, ""

    def microphone(data, frames, when, status):
        half = array("h", bytes(data))[::2].tobytes()
        loop.call_soon_threadsafe(near.put_nowait, half)

    def loudspeaker(out, frames, when, status):
        nonlocal heard
        take = min(len(out), len(far))
        out[:] = bytes(far[:take]) + bytes(len(out) - take)
        del far[:take]
        heard += take

    async def receive(ws):
        nonlocal heard, item
        async for text in ws:
            event = json.loads(text)
            if event["type"] == "response.output_audio.delta":
                if event["item_id"] != item:
                    heard, item = 0, event["item_id"]
                once = array("h", base64.b64decode(event["delta"]))
                twice = array("h", bytes(4 * len(once)))
                twice[::2] = twice[1::2] = once
                far.extend(twice.tobytes())
            elif event["type"] == "input_audio_buffer.speech_started":
                far.clear()
                cut = {"item_id": item, "content_index": 0, "audio_end_ms": heard // 96}
                await ws.send(json.dumps({"type": "conversation.item.truncate", **cut}))
            elif event["type"] == "response.function_call_arguments.done":
                until = time.monotonic() + json.loads(event["arguments"])["seconds"]
                while time.monotonic() < until:
                    pass

    options = {"samplerate": 48000, "blocksize": BLOCK, "device": DEVICE, "channels": 1,
               "dtype": "int16", "latency": "low"}  # fmt: skip
    async with websockets.connect(URL, compression=None, additional_headers=KEY) as ws:
        await ws.send(json.dumps({"type": "session.update", "session": {"type": "realtime"}}))
        with (sd.RawInputStream(callback=microphone, **options),
              sd.RawOutputStream(callback=loudspeaker, **options)):  # fmt: skip
            reader = asyncio.create_task(receive(ws))
            while not reader.done():
                delta = base64.b64encode(await near.get()).decode()
                await ws.send(json.dumps({"type": "input_audio_buffer.append", "audio": delta}))


asyncio.run(main())
