"""The one seam to the operating system: memory, wake-ups and clocks that processes share.

Linux gives memfd and eventfd. Elsewhere an unlinked file and a non-blocking pipe do the same work
slower; `portable=True` (or VOICED_PORTABLE_SEAM=1) picks these twins on Linux too, so that the
tests run both. Not `multiprocessing.shared_memory`: there an unrelated process that attaches and
exits unlinks the live segment.
"""

from __future__ import annotations

import contextlib
import functools
import mmap
import os
import select
import signal
import socket
import sys
import tempfile
import time

from voiced.errors import ExitCode

PORTABLE = sys.platform != "linux" or os.environ.get("VOICED_PORTABLE_SEAM") == "1"


_LEAST_MEMORY = 512 * 1024 * 1024


def create_segment(name: str, size: int, *, portable: bool = PORTABLE) -> int:
    """Return the file descriptor of `size` zero bytes of memory to share.

    The creator keeps the descriptor for life and passes it to children (`pass_fds`); nothing of it
    stays in any file system when the last holder exits.
    """
    if portable:
        fd, path = tempfile.mkstemp(prefix=f"voiced-{name}-")
        os.unlink(path)
    else:
        fd = os.memfd_create(f"voiced-{name}", os.MFD_CLOEXEC)
    os.ftruncate(fd, size)
    return fd


def map_segment(fd: int, *, read_only: bool = False) -> mmap.mmap:
    """Return the whole segment behind `fd`, mapped shared, writable unless `read_only`."""
    access = mmap.ACCESS_READ if read_only else mmap.ACCESS_WRITE
    return mmap.mmap(fd, os.fstat(fd).st_size, access=access)


def datagram_pair(*, portable: bool = PORTABLE) -> tuple[socket.socket, socket.socket]:
    """Return two connected local sockets that keep packets whole and in order.

    Both ends outlive the processes that use them. Linux has SOCK_SEQPACKET, which tells its reader
    when the other end is gone; SOCK_DGRAM is the portable twin.
    """
    kind = socket.SOCK_DGRAM if portable else socket.SOCK_SEQPACKET
    return socket.socketpair(socket.AF_UNIX, kind)


def widen(sock: socket.socket, size: int) -> None:
    """Give a socket room for `size` bytes that nobody has read yet, or as many as are allowed.

    Linux grants more than its limit (net.core.rmem_max) to whoever administers the network.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    if sys.platform == "linux":
        so_rcvbufforce = 33  # asm-generic/socket.h; Python has no name for it
        with contextlib.suppress(PermissionError):
            sock.setsockopt(socket.SOL_SOCKET, so_rcvbufforce, size)


def watch_link(link: socket.socket) -> None:
    """Have the system notice within five seconds that the other end of a TCP link is gone.

    Talking or silent: probes each second on an idle link, and 4 s for what was sent to be taken. Of
    what is not yet sent the system keeps little, so that what waits stays in the sender's hands.
    Options that a system lacks are left out.
    """
    options = {
        "SO_KEEPALIVE": (socket.SOL_SOCKET, 1),
        "TCP_KEEPIDLE": (socket.IPPROTO_TCP, 1),
        "TCP_KEEPALIVE": (socket.IPPROTO_TCP, 1),  # macOS' name of the same
        "TCP_KEEPINTVL": (socket.IPPROTO_TCP, 1),
        "TCP_KEEPCNT": (socket.IPPROTO_TCP, 3),
        "TCP_USER_TIMEOUT": (socket.IPPROTO_TCP, 4000),
        "TCP_NODELAY": (socket.IPPROTO_TCP, 1),
        "TCP_NOTSENT_LOWAT": (socket.IPPROTO_TCP, 16 * 1024),
        "SO_SNDBUF": (socket.SOL_SOCKET, 64 * 1024),
    }
    for name, (level, value) in options.items():
        option = getattr(socket, name, None)
        if option is not None:
            with contextlib.suppress(OSError):
                link.setsockopt(level, option, value)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, where the kernel can.

    The end of the control channel says the same to a child that listens; this is for one that hangs
    or is stopped at that moment.
    """
    if sys.platform != "linux":
        return
    import ctypes

    pr_set_pdeathsig = 1
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)
    # The parent may have died just before: then nobody tells.
    if os.getppid() != parent:
        os._exit(ExitCode.CONTROL_GONE)


def leave_no_core() -> None:
    """Have no crash of this process, or of any that it starts, write its memory to a file.

    A pipe that takes cores (systemd-coredump, apport) is asked not to by the same limit, but it
    is free to; who holds keys calls `hide_memory` besides.
    """
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, AttributeError, OSError, ValueError):
        pass


def hide_memory() -> None:
    """Leave no core, and let only the system's administrator look into this process.

    Linux then writes no core of it, whatever takes cores, and gives its memory, environment and
    open files to nobody else of the same account (prctl(2), PR_SET_DUMPABLE). What everybody may
    read of a process stays: its state, its size, its command line. Programs that it starts are
    not hidden. The process itself no longer writes its /proc/self: call `bound_memory` before.
    """
    leave_no_core()
    if sys.platform != "linux":
        return
    import ctypes

    pr_set_dumpable = 4
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_dumpable, 0, 0, 0, 0)


def bound_memory(share: float) -> None:
    """Let this process take so much of the machine's memory, and be the first to go without.

    Counted is what it could write to. Systems that cannot bound it do not.
    """
    try:
        import resource

        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        most = max(_LEAST_MEMORY, int(whole * share))
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    except (ImportError, AttributeError, OSError, ValueError):
        pass
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")


class Wake:
    """A wake-up between processes: `set` on one side makes `fd` readable on the other.

    Several sets before a `clear` are one wake-up. Both ends are descriptors so that either side can
    hand them to a child: an eventfd is one, a pipe is two.
    """

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self.fd = read_fd
        self._write_fd = write_fd
        self._eventfd = read_fd == write_fd

    @classmethod
    def create(cls, *, portable: bool = PORTABLE) -> Wake:
        """Make a new wake-up; the descriptors are not inherited unless passed."""
        if portable:
            read_fd, write_fd = os.pipe()
            os.set_blocking(read_fd, False)
            os.set_blocking(write_fd, False)
            return cls(read_fd, write_fd)
        fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        return cls(fd, fd)

    @property
    def fds(self) -> tuple[int, int]:
        """Read and write descriptor, to name this wake-up to a child."""
        return self.fd, self._write_fd

    def set(self) -> None:
        """Wake the other side; never blocks. Releases the GIL, so it fits a realtime callback."""
        # A full pipe or counter already wakes the reader.
        with contextlib.suppress(BlockingIOError):
            if self._eventfd:
                os.eventfd_write(self._write_fd, 1)
            else:
                os.write(self._write_fd, b"\x01")

    def clear(self) -> bool:
        """Take what was set; tell whether anything was."""
        try:
            if self._eventfd:
                os.eventfd_read(self.fd)
            else:
                os.read(self.fd, 4096)
        except BlockingIOError:
            return False
        return True

    def wait(self, timeout_s: float | None) -> bool:
        """Block until set, then clear it; False when `timeout_s` ran out."""
        readable = select.poll()
        readable.register(self.fd, select.POLLIN)
        milliseconds = None if timeout_s is None else max(0, round(timeout_s * 1000))
        return bool(readable.poll(milliseconds)) and self.clear()

    def close(self) -> None:
        """Close both descriptors."""
        for fd in {self.fd, self._write_fd}:
            os.close(fd)


class Clock:
    """The daemon's clock: CLOCK_MONOTONIC, run faster by `speed` when a virtual card does.

    All processes of a machine share CLOCK_MONOTONIC, so multiplying it gives them one common clock
    without a common origin. Liveness stamps do not use it: computing is not faster at speed 8.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed

    def mono_ns(self) -> int:
        """Nanoseconds of this clock; only differences mean anything."""
        now = time.monotonic_ns()
        return now if self.speed == 1.0 else int(now * self.speed)

    def real_s(self, seconds: float) -> float:
        """How long to really wait for `seconds` of this clock."""
        return seconds / self.speed


def boot() -> tuple[str, float]:
    """Return the name of the machine's present run and the seconds since it began, sleep included.

    Nobody can set this clock. "" and the monotonic clock where the system does not name its runs.
    """
    name = _boot_name()
    return name, time.clock_gettime(time.CLOCK_BOOTTIME) if name else time.monotonic()


@functools.cache
def _boot_name() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def stamp_ns() -> int:
    """Return the time for a liveness stamp: real monotonic nanoseconds, whatever the speed."""
    return time.monotonic_ns()
