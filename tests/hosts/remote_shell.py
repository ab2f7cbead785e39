"""Command lines on another host: sshd in each namespace, or a stand-in where there is no sshd."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.hosts.namespaces import Host

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
REAL = SSHD is not None and shutil.which("ssh") is not None
_PORT = 2222
_OPTIONS_WITH_VALUE = "BbcDEeFIiJLlmOopQRSWw"

_SSHD_CONFIG = """
Port {port}
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
SetEnv {environment}
"""


@dataclass(frozen=True)
class RemoteShell:
    """How to reach the hosts."""

    command: str
    """For SYMBIO_SSH."""
    servers: frozenset[int]
    """Processes that belong to the hosts and to no job."""


@contextlib.contextmanager
def remote_shell(
    hosts: list[Host], folder: Path, environment: Mapping[str, str]
) -> Iterator[RemoteShell]:
    """Make the hosts reachable by command lines for the length of the block.

    Args:
        hosts: all of them.
        folder: for keys and settings.
        environment: what a login on the hosts sets (values without spaces).
    """
    if not REAL:
        yield RemoteShell(_stand_in(hosts, folder, environment), frozenset())
        return
    # sshd's fixed place; systemd makes it where there is one.
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for key in ("key", "host_key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)]
        subprocess.run(command, check=True)
    servers = [_start_sshd(host, folder, environment) for host in hosts]
    try:
        for host in hosts:
            _wait_for(host)
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes")
        command = ["ssh", "-q", "-p", str(_PORT), "-i", str(folder / "key"), "-F", "none"]
        command += [part for option in options for part in ("-o", option)]
        yield RemoteShell(shlex.join(command), frozenset(server.pid for server in servers))
    finally:
        for server in servers:
            server.kill()
            server.wait()


def _start_sshd(host: Host, folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    text = _SSHD_CONFIG.format(
        port=_PORT,
        address=host.address,
        folder=folder,
        environment=" ".join(f"{name}={value}" for name, value in environment.items()),
    )
    config = folder / f"sshd-{host.name}"
    config.write_text(text)
    log = folder / f"sshd-{host.name}.log"
    return host.popen([str(SSHD), "-D", "-f", str(config), "-E", str(log)])


def _wait_for(host: Host) -> None:
    probe = f"import socket; socket.create_connection(('{host.address}', {_PORT}), 1)"
    deadline = time.monotonic() + 10
    while True:
        try:
            host.run([sys.executable, "-S", "-c", probe])
            return
        except subprocess.CalledProcessError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _stand_in(hosts: list[Host], folder: Path, environment: Mapping[str, str]) -> str:
    table = folder / "hosts.table"
    lines = [
        f"{place} {shlex.join(host.inside([]))}\n"
        for host in hosts
        for place in (host.name, host.address)
    ]
    table.write_text("".join(lines))
    login = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(Path.home()), **environment}
    names = [f"{name}={value}" for name, value in login.items()]
    script = Path(__file__).with_name("stand_in.py")
    return shlex.join(["env", "-i", *names, sys.executable, str(script), str(table)])
