"""Ranks and hosts of a flow become what `symbio` reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.machines import Machines
from symbio.errors import SymbioError
from symbio.ranks.settings import settings_from
from symbio.ranks.ssh import Host, read_hostfile


def test_hosts_and_ranks_arrive_in_the_settings(tmp_path: Path) -> None:
    values = Machines(4, ("10.0.0.1", "10.0.0.2")).environment(tmp_path)
    settings = settings_from({}, values)
    assert settings.ranks == 4
    assert settings.hostfile is not None
    assert read_hostfile(settings.hostfile) == [Host("10.0.0.1", 4), Host("10.0.0.2", 4)]


def test_nothing_given_leaves_the_machine_s_own_settings(tmp_path: Path) -> None:
    assert Machines().environment(tmp_path) == {}


@pytest.mark.parametrize("hosts", [("a b",), ("",), ("-oProxyCommand=x",), ("a\nb",)])
def test_what_is_no_host_is_refused(hosts: tuple[str, ...]) -> None:
    with pytest.raises(SymbioError, match="no host name"):
        Machines(None, hosts)


def test_no_ranks_are_refused() -> None:
    with pytest.raises(SymbioError, match="ranks is 0"):
        Machines(0)
