"""Hosts on one machine: network namespaces, each with its own address and name.

The hosts hang on a bridge that has a namespace of its own, so nothing of theirs is seen from the
machine's network and parallel test runs cannot clash. `python -m tests.hosts.namespaces` makes two
hosts, says how to enter them, and removes them on Ctrl-C.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMES = ("alpha", "beta", "gamma", "delta")
_IP = shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or "ip"
_ETC = Path("/etc/netns")
"""`ip netns exec` puts the files of /etc/netns/NAME over those of /etc."""

_OWN_NAME = 'echo "$0" > /proc/sys/kernel/hostname && exec "$@"'


@dataclass(frozen=True)
class Host:
    """One host: a network namespace with the interface eth0."""

    namespace: str
    name: str
    address: str

    def inside(self, command: Sequence[str]) -> list[str]:
        """The command line that runs `command` on this host, as the very process it starts."""
        enter = [_IP, "netns", "exec", self.namespace]
        if _has_own_names():
            enter += ["unshare", "--uts", "sh", "-c", _OWN_NAME, self.name]
        return [*enter, *command]

    def popen(self, command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """Start a command on this host, in a session of its own."""
        return subprocess.Popen(self.inside(command), text=True, start_new_session=True, **options)

    def run(self, command: Sequence[str], **options: Any) -> str:
        """Run a command on this host; what it printed. Fails when the command does."""
        done = subprocess.run(
            self.inside(command), check=True, capture_output=True, text=True, **options
        )
        return str(done.stdout)

    def pids(self) -> set[int]:
        """The living processes of this host; zombies belong to nobody's network."""
        return {int(pid) for pid in _ip("netns", "pids", self.namespace).split()}

    def cut(self) -> None:
        """Take the host off the network: nothing arrives, and nobody is told."""
        _ip("-n", self.namespace, "link", "set", "eth0", "down")

    def mend(self) -> None:
        """Put the host back on the network."""
        _ip("-n", self.namespace, "link", "set", "eth0", "up")

    def kill_all(self) -> None:
        """kill -9 every process of the host at once, and wait until they are gone."""
        _kill_all(self.namespace)


def why_not() -> str | None:
    """Why no hosts can be made here, or None where they can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need Linux and root"
    if shutil.which(_IP) is None:
        return "network namespaces need the command `ip` (iproute2)"
    try:
        with hosts(1):
            return None
    except subprocess.CalledProcessError as error:
        return f"network namespaces are not allowed here: {error.stderr.strip()}"


@contextlib.contextmanager
def hosts(count: int = 2) -> Iterator[list[Host]]:
    """Make hosts for the length of the block: alpha 10.77.0.1, beta 10.77.0.2, ...

    Each looks its own name up as 127.0.1.1, as Debian installs it, and the others' as their
    addresses. Everything that still runs on them at the end of the block is killed.
    """
    _remove_leftovers()
    tag = f"symbio-{os.getpid()}-{time.monotonic_ns() % 10**9}"
    switch = f"{tag}-switch"
    made = [Host(f"{tag}-{name}", name, f"10.77.0.{i + 1}") for i, name in enumerate(NAMES)]
    made = made[:count]
    try:
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        for number, host in enumerate(made):
            _plug_in(host, switch, f"port{number}")
            _name_hosts(host, made)
        yield made
    finally:
        for namespace in [host.namespace for host in made] + [switch]:
            _remove(namespace)


def _plug_in(host: Host, switch: str, port: str) -> None:
    inside = ("-n", host.namespace)
    _ip("netns", "add", host.namespace)
    _ip(*inside, "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", switch)
    _ip("-n", switch, "link", "set", port, "master", "bridge", "up")
    _ip(*inside, "address", "add", f"{host.address}/24", "dev", "eth0")
    _ip(*inside, "link", "set", "lo", "up")
    _ip(*inside, "link", "set", "eth0", "up")


def _name_hosts(host: Host, made: list[Host]) -> None:
    lines = ["127.0.0.1 localhost", f"127.0.1.1 {host.name}"]
    lines += [f"{other.address} {other.name}" for other in made if other != host]
    folder = _ETC / host.namespace
    folder.mkdir(parents=True)
    (folder / "hosts").write_text("\n".join(lines) + "\n")


def _remove_leftovers() -> None:
    """Remove the hosts of test runs that were killed."""
    for line in _ip("netns", "list").splitlines():
        found = re.match(r"symbio-(\d+)-\S+", line)
        if found is not None and not Path("/proc", found[1]).exists():
            _remove(found[0])


def _remove(namespace: str) -> None:
    if not Path("/run/netns", namespace).exists():
        return
    _kill_all(namespace)
    _ip("netns", "delete", namespace)
    shutil.rmtree(_ETC / namespace, ignore_errors=True)
    with contextlib.suppress(OSError):
        _ETC.rmdir()


def _kill_all(namespace: str) -> None:
    while pids := _ip("netns", "pids", namespace).split():
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.02)


def _ip(*arguments: str) -> str:
    done = subprocess.run([_IP, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


@functools.cache
def _has_own_names() -> bool:
    command = ["unshare", "--uts", "sh", "-c", _OWN_NAME, "alpha", "true"]
    return (
        shutil.which("unshare") is not None
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


def main() -> int:
    """Make two hosts and keep them until Ctrl-C."""
    reason = why_not()
    if reason is not None:
        print(reason)
        return 1
    # A shell starts what it puts in the background deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with hosts() as made, contextlib.suppress(KeyboardInterrupt):
        for host in made:
            print(f"{host.name} {host.address}: ip netns exec {host.namespace} bash", flush=True)
        print("Ctrl-C removes them", flush=True)
        signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
