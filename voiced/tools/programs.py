"""Which program a server's `command` means."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


class NoProgram(Exception):
    """A command starts nothing: `what` is wrong, and `fix` mends it."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what}: {fix}")
        self.what, self.fix = what, fix


def program(command: str, folder: str, search: str) -> str:
    """Return the program's path.

    Args:
        command: a name, or a path from `folder` on.
        folder: the configuration's.
        search: folders as in PATH. Behind them the one of the Python that runs is looked into:
            what pip installs beside voiced is there, whether the environment is active or not.

    Raises:
        NoProgram: there is none, or it must not be run.
    """
    if "/" in command:
        command = str(Path(folder, command).expanduser())
    found = shutil.which(command, path=search) or shutil.which(
        command, path=str(Path(sys.executable).parent)
    )
    if found is not None:
        return found
    if "/" in command and Path(command).is_file() and not os.access(command, os.X_OK):
        raise NoProgram(f"{command} may not be run", f"chmod +x {command}")
    raise NoProgram(f"there is no program {command}", "install it, or name it by its whole path")
