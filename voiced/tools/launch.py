"""Becomes the program of a server, after it has asked the kernel to end it with the tools process.

Run by path, `python -I -S launch.py PARENT PROGRAM ARGUMENT...`, with the standard library alone.
The end of its standard input says the same to a server that reads it; this is for one that hangs.
"""

import ctypes
import os
import resource
import signal
import sys


def main() -> None:
    """Take the program's place; never returns."""
    parent, program = int(sys.argv[1]), sys.argv[2]
    # Ignored signals are inherited, and the tools process ignores Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # That limit is the tools process's; to be the first to go when memory runs out is inherited.
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != parent:  # It ended just before.
            os._exit(1)
    try:
        os.execv(program, sys.argv[2:])
    except OSError as error:
        sys.exit(f"{program} cannot be run: {error.strerror}")


if __name__ == "__main__":
    main()
