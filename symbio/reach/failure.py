"""How a check tells that a place cannot be used."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from symbio.errors import SymbioError
from symbio.ranks.ending import FAILED, MISTAKE, RESUME_ME
from symbio.tracking.outage import as_error, without_secrets


def failed_check(
    error: Exception, what: str, address: str | None, variables: Sequence[str]
) -> SymbioError:
    """The error to end with: 75 where waiting helps, else 2, with the settings to look at.

    Args:
        error: what the client raised.
        what: what cannot be done, and where.
        address: URL that was asked, if one is known; its host may be unknown to the name server.
        variables: names of the environment variables that decide about it; values are not told.
    """
    if isinstance(error, SymbioError):
        return error
    told = as_error(error, what)
    text, code = str(told), told.exit_code
    if code == FAILED:  # settings may be wrong in more ways than clients have names for
        text, code = f"{what} ({type(error).__name__}: {without_secrets(str(error))})", MISTAKE
    if code == RESUME_ME and (host := _unknown_host(address)) is not None:
        text, code = f"{what}: the host {host!r} is unknown", MISTAKE
    if code == MISTAKE:
        text += f"; look at {_listed(variables)}"
    return SymbioError(text, code)


def _unknown_host(address: str | None) -> str | None:
    """The host of a URL if name servers say that there is none; not if they do not answer."""
    host = urlsplit(address).hostname if address else None
    if host is None:
        return None
    try:
        socket.getaddrinfo(host, None)
    except UnicodeError:  # no name at all
        return host
    except socket.gaierror as error:
        return None if error.errno == socket.EAI_AGAIN else host
    return None


def _listed(variables: Sequence[str]) -> str:
    return ", ".join(
        f"{name} ({'set' if os.environ.get(name) else 'not set'})" for name in variables
    )
