"""A throw-away machine that boots systemd as its first process.

The machine is this one: its root, seen through an overlay that is forgotten at the end, in a
container without network. Only root can start it, and only where `systemd-nspawn` is installed.
"""

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Self

REPOSITORY = Path(__file__).resolve().parents[2]

BOOT_S = 60.0
"""Deadline of a boot; it takes 1 to 3 s on an idle machine."""

DIES_WITH_US = ("setpriv", "--pdeathsig", "TERM")
"""A test run that is killed leaves no machine behind: at SIGTERM nspawn powers it off."""

HIDDEN = ("/home/", "/root/", "/run/user/")
"""What ProtectHome= hides from a service."""


def why_not() -> str | None:
    """Say in words why no box can be started here; None where one can."""
    if sys.platform != "linux":
        return "systemd runs on Linux alone"
    if os.geteuid() != 0:
        return "a container with systemd as its first process can only be started by root"
    if not shutil.which("systemd-nspawn"):
        return "systemd-nspawn is not installed (apt-get install systemd-container)"
    mounts = ("unshare", "--mount", "--propagation", "private", "true")
    if subprocess.run(mounts, capture_output=True, check=False).returncode:
        return "root may mount nothing here, as in most containers"
    return None


class Box:
    """A running container: commands run inside it, its journal can be waited on."""

    def __init__(self, process: subprocess.Popen[bytes], leader: int) -> None:
        """Take over the container whose first process is `leader` in this machine's count."""
        self.process = process
        self.leader = leader

    def run(
        self, *command: str, check: bool = True, text_in: str = "", deadline_s: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside and wait for it; with `check` its failure is the test's."""
        done = subprocess.run(
            [*self._entrance(), *command],
            input=text_in,
            capture_output=True,
            text=True,
            timeout=deadline_s,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(
                f"{' '.join(command)} exited {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def write(self, path: str, text: str) -> None:
        """Write a file inside, with the folders above it."""
        self.run("sh", "-c", f'mkdir -p "$(dirname {path})" && cat >{path}', text_in=text)

    def show(self, unit: str, name: str) -> str:
        """Return one property of a unit."""
        return self.run("systemctl", "show", "--value", "-p", name, unit).stdout.strip()

    def journal(self, unit: str) -> str:
        """Return everything the journal has about a unit, for a failing test to print."""
        return self.run("journalctl", "--no-pager", "-o", "short-monotonic", "-u", unit).stdout

    @contextlib.contextmanager
    def following(self, unit: str, *, from_start: bool = False) -> Iterator["Follower"]:
        """Follow the journal of a unit from now on, or all that its present run has said."""
        if from_start:
            what = [f"_SYSTEMD_INVOCATION_ID={self.show(unit, 'InvocationID')}"]
        else:
            cursor = self.run("journalctl", "-n", "0", "--show-cursor", "--no-pager").stdout
            what = ["-u", unit, f"--after-cursor={cursor.rsplit('cursor:', 1)[1].strip()}"]
        process = subprocess.Popen(
            [
                *self._entrance(),
                *("journalctl", "--follow", "--no-tail", "-o", "cat", *what),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield Follower(process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # nsenter, and journalctl below it
            process.communicate()

    def members(self, unit: str) -> set[int]:
        """Return the pids (in the box's count) of everything in a unit's cgroup."""
        listing = self.run(
            "sh", "-c", f"grep -ls '/{unit}$' /proc/[0-9]*/cgroup || true"
        ).stdout.split()
        return {int(line.split("/")[2]) for line in listing}

    def power_off(self) -> None:
        """Shut the machine down; an unwilling one is killed."""
        self.run("systemctl", "poweroff", "--force", "--force", check=False)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _entrance(self) -> list[str]:
        namespaces = ("-m", "-u", "-i", "-n", "-p", "-C")
        return [*DIES_WITH_US, "nsenter", "-t", str(self.leader), *namespaces, "--"]


class Follower:
    """The lines of a journal as they are written."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """Read from a `journalctl --follow`."""
        assert process.stdout is not None
        self._fd = process.stdout.fileno()
        self._rest = b""
        self.lines: list[str] = []

    def wait_for(self, text: str, deadline_s: float) -> bool:
        """Wait until a line holds `text`; False when the deadline passed without one."""
        end = time.monotonic() + deadline_s
        seen = 0
        while True:
            for line in self.lines[seen:]:
                seen += 1
                if text in line:
                    del self.lines[:seen]
                    return True
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._fd], [], [], left)[0]:
                return False
            self._read()

    def _read(self) -> None:
        piece = os.read(self._fd, 65536)
        if not piece:
            raise AssertionError("the journal ended: is the box still up?")
        *whole, self._rest = (self._rest + piece).split(b"\n")
        self.lines += [line.decode(errors="replace") for line in whole]


class Notices:
    """The socket on which systemd-nspawn tells the container's leader and that it has booted."""

    def __init__(self, folder: str) -> None:
        """Bind the socket in a folder of our own."""
        self.path = f"{folder}/notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)

    def __enter__(self) -> Self:
        """Open for the boot only."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the socket; nspawn does not mind."""
        self._socket.close()

    def wait_for_boot(self, deadline_s: float) -> int:
        """Return the leader's pid once the container's own systemd says READY=1."""
        end = time.monotonic() + deadline_s
        leader = 0
        while (left := end - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                notice = self._socket.recv(4096).decode()
            except TimeoutError:
                break
            fields = dict(line.split("=", 1) for line in notice.splitlines() if "=" in line)
            leader = int(fields.get("X_NSPAWN_LEADER_PID", leader))
            if fields.get("READY") == "1" and leader:
                return leader
        raise AssertionError(f"the box did not boot within {deadline_s:.0f} s")


def visible_python() -> tuple[list[str], str]:
    """Return the extra binds and the path of this Python as a service inside can see it."""
    prefix = Path(sys.base_prefix).resolve()
    name = f"bin/python{sys.version_info.major}.{sys.version_info.minor}"
    if f"{prefix}/".startswith(HIDDEN):
        return [f"--bind-ro={prefix}:/srv/python"], f"/srv/python/{name}"
    return [], str(prefix / name)


@contextlib.contextmanager
def booted() -> Iterator[Box]:
    """Boot a box with the project at /srv/voiced and its command at /opt/voiced/bin/voiced."""
    binds, python = visible_python()
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    with tempfile.TemporaryDirectory(prefix="voiced-box-") as folder, Notices(folder) as notices:
        root = Path(folder, "root")
        root.mkdir()
        log = open(Path(folder, "console"), "wb")  # noqa: SIM115 - lives as long as the box
        process = subprocess.Popen(
            [
                *(*DIES_WITH_US, "unshare", "--mount", "--propagation", "private", "sh", "-c"),
                # nspawn will not take / itself as a container's root, but a second view of it.
                'mount --bind / "$1" && shift && exec systemd-nspawn "$@"',
                *("sh", str(root), "--quiet", f"--directory={root}", "--volatile=overlay"),
                *("--register=no", "--keep-unit", "--private-network", "--notify-ready=yes"),
                *(f"--machine=voiced{os.getpid()}", f"--uuid={uuid.uuid4()}"),
                *("--capability=CAP_IPC_LOCK", "--link-journal=no", "--console=pipe"),
                *(f"--bind-ro={REPOSITORY}:/srv/voiced", f"--bind-ro={packages}:/srv/packages"),
                *binds,
                *("--boot", "--", "systemd.unit=basic.target"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "NOTIFY_SOCKET": notices.path},
        )
        try:
            box = Box(process, notices.wait_for_boot(BOOT_S))
        except BaseException:
            process.kill()
            process.wait()
            log.close()
            print(Path(folder, "console").read_text(errors="replace"), file=sys.stderr)
            raise
        try:
            install(box, python)
            yield box
        finally:
            box.power_off()
            log.close()


def install(box: Box, python: str) -> None:
    """Put voiced where the unit expects it: account, environment, configuration, unit."""
    box.run("useradd", "--system", "--user-group", "--home-dir", "/var/lib/voiced", "voiced")
    box.run("usermod", "--append", "--groups", "audio", "voiced")
    # A Python from a hidden place finds its own library, not the system's of the same version.
    library = Path(python).parents[1] / "lib"
    box.write("/etc/ld.so.conf.d/python.conf", f"{library}\n")
    box.run("ldconfig")
    box.run(python, "-m", "venv", "--without-pip", "/opt/voiced")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    box.write(f"/opt/voiced/lib/{version}/site-packages/voiced.pth", "/srv/voiced\n/srv/packages\n")
    box.write(
        "/opt/voiced/bin/voiced",
        "#!/opt/voiced/bin/python\nimport sys\nfrom voiced.cli import main\nsys.exit(main())\n",
    )
    box.run("chmod", "755", "/opt/voiced/bin/voiced")
    box.run("install", "-d", "-m", "0700", "/etc/voiced/keys")
    box.run("cp", "/srv/voiced/systemd/voiced.service", "/etc/systemd/system/")
