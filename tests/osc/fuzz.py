"""Mutated packets against a door: `python -m tests.osc.fuzz 1000000 [seed]`.

Every kind of message the door knows, and the packets that kill other servers, with bytes changed,
cut, doubled and spliced. Nothing may raise, the log stays below ten lines a second, memory flat,
and /voiced/ping is answered throughout.
"""

from __future__ import annotations

import gc
import random
import resource
import sys
import time
from pathlib import Path

from tests.osc.fake import FakeSurface, Running
from tests.osc.test_codec import BROKEN, bundle
from tests.osc.wire import Udp, built
from voiced.control.osc.settings import OscConfig
from voiced.parameters import ADDRESSES, ROWS

_WARM_UP = 0.2
"""Part of the packets after which memory is first looked at."""


def seeds() -> list[bytes]:
    """Return packets worth mutating."""
    found = [packet for packet in BROKEN.values() if len(packet) < 2000]
    for name in ROWS:
        address = f"/voice_agent/par/{name}"
        found += [built(address), built(address, 0.5), built(address, "text"), built(address, 1)]
        found += [built(f"{address}/{child}", 0.5) for child in ("norm", "toggle", "append")]
    for entry in ADDRESSES:
        address = entry.address.replace("<agent>", "voice_agent").replace("<Name>", "Volume")
        found += [built(address.replace("<", "").replace(">", ""), *args)
                  for args in ((), (1,), ("/*",), (9000, "/*/par/*", 5, "flat"))]  # fmt: skip
    found += [built(p, 0.5) for p in ("/*/par/Volume", "/{a,voice_agent}/par/T*", "//Volume",
                                      "/" + "*a" * 100, "/[a-z]*/*/[!x]*")]  # fmt: skip
    deep = built("/voiced/ping", 1)
    for _ in range(12):
        deep = bundle(deep)
        found.append(deep)
    soon = int((time.time() + 2_208_988_800 + 1) * 2**32)
    found.append(bundle(built("/voice_agent/par/Volume", 0.25), timetag=soon))
    return found


def mutated(packet: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    """Return a packet with one to four things wrong with it."""
    raw = bytearray(packet)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(raw) + 1)
        match chance.randrange(7):
            case 0 if raw:
                raw[at % len(raw)] = chance.randrange(256)
            case 1 if raw:
                raw[at % len(raw)] ^= 1 << chance.randrange(8)
            case 2:
                del raw[at:]
            case 3:
                raw[at:at] = chance.randbytes(chance.choice((1, 4, 16)))
            case 4:
                other = chance.choice(others)
                raw[at:] = other[chance.randrange(len(other) + 1) :]
            case 5:
                raw[at : at + 4] = chance.choice(
                    (
                        b"\x7f\xc0\0\0",
                        b"\x7f\x80\0\0",
                        b"\xff\xff\xff\xff",
                        b"\x80\0\0\0",
                        b"\0\0\0\0",
                    )
                )
            case _:
                raw += raw[:at]
        if len(raw) > 4000:
            del raw[4000:]
    return bytes(raw)


def resident_kb() -> int:
    """Return this process's resident memory."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def fuzz(count: int, seed: int) -> dict[str, float]:
    """Send `count` mutated packets and return what was measured."""
    chance = random.Random(seed)
    good = seeds()
    surface = FakeSurface()
    door = Running(surface, OscConfig(port=0))
    sender, asker = Udp(door.port), Udp(door.port)
    start = time.monotonic()
    warm, puts, slowest = 0, 0, 0.0
    try:
        for n in range(count):
            sender.raw(mutated(chance.choice(good), chance, good))
            if n % 50 == 49:
                # The door keeps up: what is asked after fifty is answered before the next.
                before = time.monotonic()
                asker.send("/voiced/ping", n)
                while asker.until("/voiced/pong")[-1][1] != [n]:
                    pass
                slowest = max(slowest, time.monotonic() - before)
                puts += len(surface.puts)
                surface.puts.clear()
            if n == int(count * _WARM_UP):
                gc.collect()
                warm = resident_kb()
        took = time.monotonic() - start
        gc.collect()
        grown = resident_kb() - warm
    finally:
        sender.close()
        asker.close()
        door.close()
    assert all(len(line) < 1000 for line in surface.lines)
    return {
        "packets": count, "seconds": took, "puts": puts, "grown_kb": grown,
        "lines_per_s": len(surface.lines) / took, "slowest_ping_s": slowest,
    }  # fmt: skip


def main() -> int:
    """Run from the shell."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32)
    print(f"seed {seed}", flush=True)
    found = fuzz(count, seed)
    print(" ".join(f"{name}={value:g}" for name, value in found.items()))
    return 0 if found["grown_kb"] < 5_000 and found["lines_per_s"] <= 10 else 1


if __name__ == "__main__":
    sys.exit(main())
