"""A real daemon in a folder of its own, driven and observed from outside by OSC.

The client shares no code with voiced: packets are built and read by python-osc. Everything waits
for a message, a file or an exit, with a deadline; nothing waits for a time to pass.

    with Daemon(tmp_path) as daemon:
        daemon.send("/voice_agent/par/Connect")
        daemon.wait("/voice_agent/par/Sessionstate", "active")
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.osc_packet import OscPacket

from tests import planted

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0
"""From the start of the program to its first answer, on a busy machine."""
DEADLINE_S = 30.0

CONFIG = """
[osc]
port = 0
targets = [{{ host = "127.0.0.1", port = {target}, send = ["/*"], flat = true }}]
[audio]
backend = "virtual"
[audio.virtual]
output = ""
[storage]
state_dir = "{state_dir}"
"""
ECHO = """
[[agent]]
name = "voice_agent"
[agent.par]
Provider = "echo"
"""

WITH_LOCAL = (
    ECHO
    + """
[[agent]]
name = "other"
on_start = "connect"
[agent.par]
Provider = "local"
"""
)
"""The echo, and beside it an agent that has the inference process started."""


class Message(NamedTuple):
    """One OSC message as it arrived."""

    at: float
    """`time.monotonic()` of its arrival."""
    address: str
    args: tuple[Any, ...]


class Client:
    """An OSC client on one UDP port: sends from it, and records everything that comes to it."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.messages: list[Message] = []
        self.leaks: list[str] = []
        """What was found of planted keys in what came."""
        self._arrived = threading.Condition()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        # A datagram to itself ends the thread: closing alone does not wake recvfrom.
        self.socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(2.0)
        self.socket.close()
        assert not self.leaks, "\n".join(["keys were told:", *self.leaks])

    def send(self, port: int, address: str, *args: Any) -> None:
        """Send one message; ints go as `i`, floats as `f`, strings as `s`."""
        builder = OscMessageBuilder(address)
        for arg in args:
            builder.add_arg(arg)
        self.socket.sendto(builder.build().dgram, ("127.0.0.1", port))

    def mark(self) -> int:
        """Return a place in the record, for `since`."""
        with self._arrived:
            return len(self.messages)

    def place(self, message: Message) -> int:
        """Return where a message stands in the record, for `since`."""
        with self._arrived:
            return next(n for n, each in enumerate(self.messages) if each is message)

    def wait(
        self,
        address: str,
        wanted: Callable[..., bool] | Any = None,
        deadline_s: float = DEADLINE_S,
        *,
        since: int = 0,
    ) -> Message:
        """Return the first message to `address` from place `since` on that is `wanted`.

        Args:
            address: the whole address.
            wanted: None = any; a function of the arguments; else what the first argument must be.
            deadline_s: AssertionError after so long.
        """
        deadline = time.monotonic() + deadline_s
        place = since
        with self._arrived:
            while True:
                for message in self.messages[place:]:
                    if message.address == address and _is(wanted, message.args):
                        return message
                place = len(self.messages)
                left = deadline - time.monotonic()
                if left <= 0 or not self._arrived.wait(left):
                    seen = [m.args for m in self.messages[since:] if m.address == address]
                    raise AssertionError(
                        f"no {address} {wanted!r} within {deadline_s} s; of it came {seen[-5:]}"
                    )

    def all(self, address: str, *, since: int = 0) -> list[Message]:
        """Return every message to an address so far."""
        with self._arrived:
            return [message for message in self.messages[since:] if message.address == address]

    def _listen(self) -> None:
        while packet := self.socket.recv(65_536):
            at = time.monotonic()
            found = [
                Message(at, timed.message.address, tuple(timed.message.params))
                for timed in OscPacket(packet).messages
            ]
            if keys := planted.found_in(packet):
                self.leaks.append(f"osc {[message.address for message in found]}: {keys}")
            with self._arrived:
                self.messages += found
                self._arrived.notify_all()


def _is(wanted: Any, args: tuple[Any, ...]) -> bool:
    if wanted is None:
        return True
    if callable(wanted):
        return bool(wanted(*args))
    return bool(args) and args[0] == wanted


class Daemon:
    """`python -m voiced.control run` and a client that hears everything it says.

    Every one has the planted keys, from its environment and, xAI's, from a credential; at its end
    they are looked for in everything that it said and left, and in its processes.

    Args:
        folder: its own; the configuration, the state and the log go there.
        agents: TOML of the agents and anything else behind the basic tables.
        config: the whole TOML instead; {target} and {state_dir} are filled in.
        settings: `--set` values.
        arguments: further arguments.
        environment: added to this process's own.
        ready: children that must have said Hello before the start counts as done.
        under: a program with its arguments that becomes the daemon, as `nice` does.
    """

    def __init__(
        self,
        folder: Path,
        agents: str = ECHO,
        *,
        config: str = CONFIG,
        settings: Sequence[str] = (),
        arguments: Sequence[str] = (),
        environment: dict[str, str] | None = None,
        ready: Sequence[str] = ("audio", "network"),
        under: Sequence[str] = (),
    ) -> None:
        self.folder, self.state_dir = folder, folder / "state"
        self.config_file, self.log_file = folder / "voiced.toml", folder / "log.txt"
        self.client = Client()
        folder.mkdir(parents=True, exist_ok=True)
        self._template = config
        self.write_config(agents)
        self._arguments = [f"--set={setting}" for setting in settings] + list(arguments)
        self._environment = {
            **os.environ,
            **planted.environment(),
            "PYTHONWARNINGS": "error",
            "CREDENTIALS_DIRECTORY": str(folder / planted.CREDENTIALS),
            **(environment or {}),
        }
        _credential(folder / planted.CREDENTIALS / "keys_xai", planted.LIKE_NOTHING)
        self._leaks: list[str] = []
        self._ready, self._under = ready, under
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Daemon:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            if self.process is not None and self.process.poll() is None:
                self.stop()
        finally:
            self.kill_everything()
            try:
                self.client.close()
            finally:
                self.search()

    def search(self) -> None:
        """Fail where a planted key is in what this daemon said and left.

        Its log and everything it writes lie in its folder.
        """
        found = [*self._leaks, *planted.findings(planted.files(self.folder))]
        assert not found, "\n".join(["keys were found:", *found])

    def look_at_processes(self) -> None:
        """Note for the end where a planted key is in what others may read of its processes."""
        if self.process is not None:
            self._leaks += planted.findings(planted.processes(self.process.pid))

    # --- its life

    def write_config(self, agents: str = ECHO) -> None:
        """Write the configuration file anew; it counts at the next start or SIGHUP."""
        basic = self._template.format(target=self.client.port, state_dir=self.state_dir)
        web = "" if "[web]" in agents else "[web]\nport = 0\n"  # others run at the same time
        self.config_file.write_text(web + basic + agents)

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the program without waiting for it."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._under, sys.executable, "-m", "voiced.control", "run", "--config",
                 str(self.config_file), *self._arguments],
                cwd=ROOT, env=self._environment, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        return self.process

    def start(self) -> None:
        """Start it and wait until its doors are open and its children are there."""
        since = self.client.mark()
        self.spawn()
        self.until(lambda: bool(self.run_file()) or self._gone(), START_S, "run.json")
        assert not self._gone(), f"the daemon ended at its start:\n{self.log}"
        self.port = self.run_file()["osc_port"]
        self.until(lambda: set(self._ready) <= set(self.run_file().get("ready", ())), START_S,
                   f"children {self._ready}")  # fmt: skip
        self.wait("/voiced/startup", deadline_s=START_S, since=since)
        if "network" in self._ready:
            # Its catalogue has come: providers are known.
            for agent in self.agents():
                self.ask(f"/{agent}/sig/worker_active", wanted=1.0, deadline_s=START_S)
        self.look_at_processes()

    def stop(self, number: signal.Signals = signal.SIGTERM, deadline_s: float = 30.0) -> int:
        """Tell it to stop; return the exit status."""
        assert self.process is not None
        # Some were started later than the rest.
        self.look_at_processes()
        self.process.send_signal(number)
        return self.process.wait(deadline_s)

    def kill_everything(self) -> None:
        """SIGKILL what this rig started, by process id."""
        children = self.run_file().get("children", {}) if self.process is not None else {}
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(5.0)
            for pid in children.values():
                self.until(lambda pid=pid: not alive(pid), 5.0, f"the end of child {pid}")

    # --- what it is

    @property
    def log(self) -> str:
        """Everything it and its children wrote."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def run_file(self) -> dict[str, Any]:
        """Return `run.json`: pid, osc_port, children, ready; empty while there is none.

        What a killed predecessor left counts for nothing.
        """
        try:
            found = dict(json.loads((self.state_dir / "run.json").read_bytes()))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return found if self.process is not None and found["pid"] == self.process.pid else {}

    def pid_of(self, child: str) -> int:
        """Return a child's process id."""
        return int(self.run_file()["children"][child])

    def agents(self) -> tuple[str, ...]:
        """Return the agents' names, as the daemon tells them."""
        return tuple(str(name) for name in self.ask("/voiced/agents"))

    # --- OSC

    def send(self, address: str, *args: Any) -> None:
        """Send one message to the daemon."""
        self.client.send(self.port, address, *args)

    def wait(
        self,
        address: str,
        wanted: Callable[..., bool] | Any = None,
        deadline_s: float = DEADLINE_S,
        *,
        since: int = 0,
    ) -> Message:
        """See `Client.wait`; the daemon's log is shown where it fails."""
        try:
            return self.client.wait(address, wanted, deadline_s, since=since)
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- log\n{self.log[-4000:]}") from None

    def mark(self) -> int:
        """Return a place in the record, for `since`."""
        return self.client.mark()

    def ask(
        self, address: str, *, wanted: Any = None, deadline_s: float = DEADLINE_S
    ) -> tuple[Any, ...]:
        """Query an address until the answer is `wanted`; return the answer."""
        deadline = time.monotonic() + deadline_s
        while True:
            since = self.mark()
            self.send(address)
            # Asked anew where the datagram was lost or the answer is not (yet) the wanted one.
            left = deadline - time.monotonic()
            try:
                message = self.client.wait(address, None, min(1.0, max(left, 0.01)), since=since)
                if _is(wanted, message.args):
                    return message.args
                self.client.wait(address, wanted, min(0.1, max(left, 0.01)), since=since)
            except AssertionError:
                if time.monotonic() >= deadline:
                    raise AssertionError(
                        f"{address} is not {wanted!r} within {deadline_s} s\n--- log\n"
                        f"{self.log[-4000:]}"
                    ) from None

    # --- its children

    def signal_child(self, child: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a child; return its process id."""
        pid = self.pid_of(child)
        os.kill(pid, number)
        return pid

    def wait_for_successor(self, child: str, of: int, deadline_s: float = DEADLINE_S) -> int:
        """Wait until another process than `of` is there and ready; return its process id."""
        pids: list[int] = []

        def there() -> bool:
            now = self.run_file()  # Read once: the next moment it may be gone again.
            pid = int(now.get("children", {}).get(child, of))
            if pid == of or child not in now["ready"]:
                return False
            pids.append(pid)
            return True

        self.until(there, deadline_s, f"a successor of {child} {of}")
        return pids[-1]

    def until(self, reached: Callable[[], bool], deadline_s: float, what: str) -> None:
        """Wait for what only a file or a process table tells."""
        deadline = time.monotonic() + deadline_s
        look_again = threading.Event()
        while not reached():
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"{what} did not come within {deadline_s} s\n--- log\n{self.log[-4000:]}"
                )
            look_again.wait(0.01)

    def _gone(self) -> bool:
        return self.process is not None and self.process.poll() is not None


def _credential(path: Path, key: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    path.write_text(key)
    path.chmod(0o400)


def alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
