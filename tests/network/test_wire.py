"""The wire to inference: what a predecessor left is nobody's, and no packet can do harm."""

from __future__ import annotations

import asyncio
import os
import random
import select

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiced.lane.seam import datagram_pair
from voiced.messages import inference as messages
from voiced.network.wire import InferenceWire


class Far:
    """Inference's end, in the test's hand."""

    def __init__(self, end) -> None:
        self.end = end
        end.setblocking(False)

    def send(self, *sent) -> None:
        for message in sent:
            self.end.send(messages.encode(message))

    def receive(self):
        return messages.decode_to_inference(self.end.recv(messages.MAX_PACKET))

    def ready(self, generation: int, instance: int = 100) -> None:
        self.send(messages.Ready(generation=generation, instance=instance, engines=()))


def connected(test, portable: bool = False):
    """Run a test with both ends, and what the wire told of the whole process."""

    async def run() -> None:
        near, far_end = datagram_pair(portable=portable)
        troubles: list = []
        wire, far = InferenceWire(near, lambda *what: troubles.append(what)), Far(far_end)
        try:
            wire.start()
            await settled()
            with pytest.raises(BlockingIOError):
                far.receive()  # nobody wants the local voice yet: inference is not woken
            wanted = asyncio.create_task(wire.ready())
            await settled()
            await test(wire, far, troubles)
            wanted.cancel()
        finally:
            wire.close()
            near.close()
            far_end.close()

    asyncio.run(run())


async def settled() -> None:
    """Let the loop read what there is."""
    for _ in range(8):
        await asyncio.sleep(0)


def transcript(conversation: str, text: str = "good evening") -> messages.UserTranscript:
    return messages.UserTranscript(
        conversation=conversation, item="u1", text=text, final=True, start_sample=0, end_sample=9
    )


@pytest.mark.parametrize("portable", [False, True])
def test_it_greets_and_takes_nothing_before_its_own_ready(portable):
    async def test(wire, far, troubles):
        got: list = []
        hello = far.receive()
        wire.attach("a.1", got.append, lambda: got.append("lost"))
        far.send(transcript("a.1", "of a predecessor"))
        far.ready(0)
        far.ready(hello.generation + 1, instance=99)
        far.send(transcript("a.1", "still"))
        await settled()
        assert got == []
        waiting = asyncio.create_task(wire.ready())
        far.ready(hello.generation)
        assert await asyncio.wait_for(waiting, 5) == 100
        far.send(transcript("a.1"), transcript("b.2"))
        far.send(messages.Trouble(conversation="", code="x", sentence="no engine", fatal=False))
        await settled()
        assert [m.text for m in got] == ["good evening"]
        assert troubles == [("x", "no engine")]
        wire.detach("a.1")
        far.send(transcript("a.1"))
        await settled()
        assert len(got) == 1

    connected(test, portable)


def test_a_process_that_never_read_the_hello_is_greeted_again():
    """Its predecessor read it and died: nobody else would ever say it."""

    async def test(wire, far, troubles):
        hello = far.receive()
        for instance in (101, 102):
            far.ready(0, instance=instance)
            await settled()
            assert far.receive() == hello
        far.ready(hello.generation, instance=102)
        assert await asyncio.wait_for(wire.ready(), 5) == 102
        far.ready(0, instance=103)  # one that ends after its answer, and the next after its hello
        await settled()
        assert far.receive() == hello
        far.ready(0, instance=104)
        await settled()
        assert far.receive() == hello
        far.ready(hello.generation, instance=104)
        assert await asyncio.wait_for(wire.ready(), 5) == 104

    connected(test)


def test_another_instance_means_that_every_conversation_is_lost():
    async def test(wire, far, troubles):
        got: list = []
        hello = far.receive()
        far.ready(hello.generation)
        await settled()
        wire.attach("a.1", got.append, lambda: got.append("lost"))
        wire.attach("b.1", got.append, lambda: got.append("lost too"))
        far.ready(hello.generation)  # said twice by the same process: nothing new
        await settled()
        assert got == []
        far.ready(0, instance=101)
        await settled()
        assert got == ["lost", "lost too"]
        waiting = asyncio.create_task(wire.ready())
        wire.attach("a.2", got.append, lambda: None)
        far.send(transcript("a.2"))
        await settled()
        assert not waiting.done()
        assert far.receive() == hello
        far.ready(hello.generation, instance=101)
        assert await asyncio.wait_for(waiting, 5) == 101
        far.send(transcript("a.2", "anew"))
        await settled()
        assert [m.text for m in got[2:]] == ["anew"]

    connected(test)


def test_a_full_wire_is_waited_for_and_the_order_kept():
    async def test(wire, far, troubles):
        far.receive()
        sent = [messages.Text(conversation="a", text=f"{n} {'x' * 900}") for n in range(300)]
        tasks = [asyncio.create_task(wire.send(message)) for message in sent]
        await settled()
        assert not tasks[-1].done()
        got = []
        while len(got) < len(sent):
            while select.select([far.end], [], [], 0)[0]:
                got.append(far.receive())
            await asyncio.sleep(0)
        assert got == sent
        await asyncio.gather(*tasks)

    connected(test)


def test_no_more_than_a_few_tenths_of_a_second_of_sound_wait_in_it():
    async def test(wire, far, troubles):
        far.receive()
        chunk = messages.Audio(conversation="voice_agent.1", pcm=bytes(640))
        sending = []
        for _ in range(500):
            sending.append(asyncio.create_task(wire.send(chunk)))
            await settled()
            if not sending[-1].done():
                break
        assert len(sending) * 0.02 < 1.0
        for task in sending:
            task.cancel()

    connected(test)


def test_the_longest_packet_passes_and_a_longer_one_is_refused():
    async def test(wire, far, troubles):
        far.receive()
        empty = len(messages.encode(messages.Text(conversation="a", text="")))
        longest = messages.Text(conversation="a", text="x" * (messages.MAX_PACKET - empty - 3))
        await asyncio.wait_for(wire.send(longest), 5)
        assert far.receive() == longest
        with pytest.raises(ValueError, match="longer than a packet"):
            await wire.send(messages.Text(conversation="a", text="x" * messages.MAX_PACKET))

    connected(test)


PACKETS = [
    messages.encode(message)
    for message in (
        messages.Ready(generation=1, instance=2, engines=()),
        messages.SpeechStarted(conversation="a.1", sample=1),
        transcript("a.1"),
        messages.AssistantAudio(
            conversation="a.1", response="r", item="i", pcm=bytes(64), text_until=3
        ),
        messages.Trouble(conversation="a.1", code="x", sentence="y", fatal=True),
    )
]


@settings(max_examples=int(os.environ.get("VOICED_WIRE_FUZZ", "25")), deadline=None)
@given(
    noise=st.lists(st.binary(max_size=300), max_size=20),
    seed=st.integers(0, 1 << 32),
)
def test_whatever_comes_it_goes_on(noise, seed):
    """Every packet is noise, or a real one with bytes changed, cut off or added."""
    rng = random.Random(seed)
    for _ in range(60):
        packet = bytearray(rng.choice(PACKETS))
        for _ in range(rng.randint(1, 4)):
            packet[rng.randrange(len(packet))] = rng.randrange(256)
        noise.append(
            bytes(packet[: rng.randint(0, len(packet))]) + rng.randbytes(rng.choice([0, 3]))
        )
    noise.append(msgspec.msgpack.encode([[[]]]) * 2000)
    noise.append(b"\x91" * 20_000)

    async def test(wire, far, troubles):
        got: list = []
        hello = far.receive()
        far.ready(hello.generation)
        await settled()
        wire.attach("a.1", got.append, lambda: None)
        for packet in noise:
            far.end.send(packet)
            await settled()
        # A mutated Ready may pass for a new process: then it greets again, as it must.
        while select.select([far.end], [], [], 0)[0]:
            far.receive()
        far.ready(hello.generation, instance=7)
        await settled()
        while select.select([far.end], [], [], 0)[0]:
            far.receive()
        far.ready(hello.generation, instance=7)
        assert await asyncio.wait_for(wire.ready(), 5) == 7
        wire.attach("a.1", got.append, lambda: None)
        far.send(transcript("a.1", "after all that"))
        await settled()
        assert got[-1].text == "after all that"

    connected(test)
