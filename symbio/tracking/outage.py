"""Whether a failure of a store or a service passes by itself, and how a user is told.

Stores fail in many types: MLflow's own, HTTP, S3, a database driver; some keep the cause only in
their text. Types are told by name, so that nothing heavy is imported to judge them.
"""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator
from typing import Any

from symbio.errors import SymbioError
from symbio.ranks.ending import FAILED, MISTAKE, RESUME_ME

_AWAY_TYPES = {
    "ConnectionError",  # Python's, requests' and botocore's
    "TimeoutError",
    "Timeout",
    "gaierror",
    "URLError",
    "MaxRetryError",
    "ProtocolError",
    "ChunkedEncodingError",
    "HTTPClientError",
    "ConnectionClosedError",
    "ClientConnectionError",
    "OperationalError",
    "InterfaceError",
}
_AWAY_ERRNOS = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}
_AWAY_STATUSES = {408, 425, 429}
_REFUSED_TYPES = {"NoCredentialsError", "PartialCredentialsError"}
_REFUSED_STATUSES = {401, 403, 407}
_REFUSED_WORDS = re.compile(
    r"AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|ExpiredToken"
    r"|Unable to locate credentials|error code (?:401|403)\b|\((?:401|403)\)"
    r"|password authentication failed|no password supplied|no pg_hba\.conf entry"
)
_WRONG_TYPES = {"FileNotFoundError", "PermissionError"}
_WRONG_WORDS = re.compile(
    r"NoSuchBucket|NoSuchKey|No such artifact|\(404\)|error code 4(?!08|25|29)\d\d\b"
)
_AWAY_WORDS = re.compile(
    r"Could not connect to|Connection refused|Connection reset|timed out"
    r"|imeout on endpoint URL|Connection was closed|HTTP Client raised"
    r"|SlowDown|ServiceUnavailable|Max retries exceeded|\((?:500|502|503|504)\)"
)
_USER_IN_URL = re.compile(r"(?<=://)[^/@\s]+@")
_SIGNED = re.compile(r"((?:X-Amz-(?:Signature|Credential|Security-Token)|password)=)[^&\s'\"]+")
_SHOWN = 400
_ADVICE = {
    "refused": (
        "these credentials are refused; set the right ones (MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)",
        MISTAKE,
    ),
    "wrong": ("there is no such thing, or the request is wrong: no retry helps", MISTAKE),
    "away": ("it is away; the same command goes on when it is back", RESUME_ME),
    "unknown": ("this does not look like an outage", FAILED),
}
"""What to do, and the exit code."""


def as_error(error: Exception, what: str) -> SymbioError:
    """An outside failure as the error to end with; a SymbioError stays itself.

    Args:
        error: what the client of a store or service raised, with its causes.
        what: the sentence that the message begins with: what could not be done, and where,
            e.g. "models/nyu cannot be registered in http://host:5000".

    Returns:
        exit_code 75 where it is away, slow or overloaded: the same command goes on when it is
        back. 2 where it refuses these credentials (HTTP 401 and 403, S3's AccessDenied,
        InvalidAccessKeyId and SignatureDoesNotMatch, a database's password) or knows no such
        thing: no retry helps. 1 for anything else. Credentials in addresses are masked.
    """
    if isinstance(error, SymbioError):
        return error
    kinds = [kind for one in _causes(error) if (kind := _kind(one)) is not None]
    # A refusal is often wrapped into something that says no more than "internal error".
    kind = "refused" if "refused" in kinds else next(iter(kinds), "unknown")
    advice, code = _ADVICE[kind]
    reason = f"({type(error).__name__}: {_shortened(error)})"
    return SymbioError(f"{without_secrets(what)} {reason}; {advice}", code)


@contextlib.contextmanager
def told_as_error(what: str) -> Iterator[None]:
    """Let failures of the store inside the block end as `as_error` says."""
    try:
        yield
    except SymbioError:
        raise
    except Exception as error:
        raise as_error(error, what) from error


def without_secrets(text: str) -> str:
    """The text with users and passwords of addresses, and signatures, masked."""
    return _SIGNED.sub(r"\1***", _USER_IN_URL.sub("***@", text))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, outermost first."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


def _kind(error: BaseException) -> str | None:
    """Key of `_ADVICE`; None: this error alone does not tell."""
    status, names, text = _status(error), _names(error), str(error)
    if status in _REFUSED_STATUSES or names & _REFUSED_TYPES or _REFUSED_WORDS.search(text):
        return "refused"
    if "PermissionError" in names and getattr(error, "filename", None) is None:
        return "refused"  # s3fs tells a refusal by this type; one about a file names the file.
    if status in _AWAY_STATUSES:
        return "away"
    if status in range(400, 500) or names & _WRONG_TYPES or _WRONG_WORDS.search(text):
        return "wrong"
    if status in range(500, 600) or names & _AWAY_TYPES or _AWAY_WORDS.search(text):
        return "away"
    if isinstance(error, OSError) and error.errno in _AWAY_ERRNOS:
        return "away"
    return None


def _names(error: BaseException) -> set[str]:
    return {one.__name__ for one in type(error).__mro__}


def _status(error: BaseException) -> int | None:
    """The HTTP status that an error tells, if it does."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    elif hasattr(error, "get_http_status_code"):  # MLflow
        found = error.get_http_status_code()
    else:  # requests and httpx; urllib; aiohttp
        found = (
            getattr(response, "status_code", None)
            or getattr(error, "code", None)
            or getattr(error, "status", None)
        )
    return found if isinstance(found, int) else None


def _shortened(error: BaseException) -> str:
    """One line, without secrets."""
    text = " ".join(without_secrets(str(error)).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
