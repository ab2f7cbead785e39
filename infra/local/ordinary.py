"""PostgreSQL refuses to run as root: as whom it runs instead, and how to become that user.

    python ordinary.py namespace|nobody COMMAND...

As root the command runs in a user namespace of its own, where root is called user 1000: files keep
their owner, nothing else is needed. Where the kernel or a container forbids that, it runs as user
nobody, to whom the folder is given. Needs nothing but Python itself.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from enum import Enum
from pathlib import Path

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_INSIDE = 1000
_PROBE_S = 20.0


class Identity(Enum):
    """As whom PostgreSQL runs."""

    OURSELVES = "ourselves"
    NAMESPACE = "namespace"
    NOBODY = "nobody"

    def command(self, command: list[str]) -> list[str]:
        """The command that runs `command` as this user, in the same process number."""
        if self is Identity.OURSELVES:
            return command
        return [sys.executable, "-I", "-S", str(Path(__file__).resolve()), self.value, *command]

    def own(self, folder: Path) -> None:
        """Make this user the owner of a folder and of what is in it, if it is not."""
        if os.geteuid() != 0 or not folder.exists():
            return
        user = pwd.getpwnam("nobody") if self is Identity.NOBODY else pwd.getpwuid(0)
        if folder.stat().st_uid != user.pw_uid:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def identity() -> Identity:
    """As whom PostgreSQL can run here."""
    if os.geteuid() != 0:
        return Identity.OURSELVES
    probe = Identity.NAMESPACE.command(["/bin/sh", "-c", "test $(id -u) -ne 0"])
    possible = subprocess.run(probe, capture_output=True, timeout=_PROBE_S).returncode == 0
    return Identity.NAMESPACE if possible else Identity.NOBODY


def _become(who: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if who == Identity.NAMESPACE.value:
        if libc.unshare(_CLONE_NEWUSER) != 0:
            raise OSError(ctypes.get_errno(), "user namespaces are not allowed here")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{_INSIDE} 0 1")
        Path("/proc/self/gid_map").write_text(f"{_INSIDE} 0 1")
    else:
        user = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        # A change of user clears what the guard has set: this process dies with it.
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    try:
        _become(sys.argv[1])
        os.execvp(sys.argv[2], sys.argv[2:])
    except OSError as error:
        sys.exit(f"{sys.argv[2]}: {error}")
