"""What real clients raise when a server refuses, is overloaded, or is not there."""

from __future__ import annotations

import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from symbio.errors import SymbioError
from symbio.tracking.outage import as_error, told_as_error
from symbio.tracking.store import open_store

S3_CODES = {
    "AccessDenied": 403,
    "InvalidAccessKeyId": 403,
    "SignatureDoesNotMatch": 403,
    "NoSuchBucket": 404,
    "SlowDown": 503,
    "InternalError": 500,
}


class _Answer(BaseHTTPRequestHandler):
    """Answers /STATUS/... with that status, and what S3 says where a bucket is called like a code.

    Its body is the error document of the S3 protocol, which MLflow shows as it is.
    """

    def do_GET(self) -> None:
        first = self.path.split("?")[0].strip("/").split("/")[0]
        code = next((one for one in S3_CODES if one.lower() == first), "Failed")
        status = S3_CODES.get(code) or int(first)
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message></Error>"
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body.encode())

    do_PUT = do_POST = do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def judged(act: Callable[[], object]) -> SymbioError:
    try:
        act()
    except Exception as error:
        return as_error(error, "it cannot be done")
    raise AssertionError("it can be done")


def mlflow_at(address: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> SymbioError:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    return judged(lambda: open_store(root).search_experiments())


@pytest.mark.parametrize(
    ("status", "code"), [(401, 2), (403, 2), (404, 2), (429, 75), (500, 75), (502, 75), (503, 75)]
)
def test_mlflow_server(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, code: int
) -> None:
    error = mlflow_at(f"{address}/{status}", tmp_path, monkeypatch)
    assert error.exit_code == code, error
    assert str(error).startswith("it cannot be done (")
    assert ("credentials" in str(error)) == (status in (401, 403))


def test_no_mlflow_server(nobody: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = mlflow_at(nobody, tmp_path, monkeypatch)
    assert error.exit_code == 75
    assert "the same command goes on" in str(error)


@pytest.mark.parametrize(("code", "status"), S3_CODES.items())
def test_s3(address: str, tmp_path: Path, code: str, status: int) -> None:
    import boto3

    client = boto3.client("s3", endpoint_url=address, region_name="us-east-1")
    (tmp_path / "file").write_text("x")
    bucket = code.lower()
    expected = 75 if status >= 500 else 2
    for act in (
        lambda: client.list_objects_v2(Bucket=bucket),
        lambda: client.upload_file(str(tmp_path / "file"), bucket, "key"),
        lambda: client.download_file(bucket, "key", str(tmp_path / "there")),
    ):
        error = judged(act)
        assert error.exit_code == expected, error
        assert ("credentials" in str(error)) == (status == 403)
    client.close()


def test_no_s3(nobody: str) -> None:
    import boto3

    client = boto3.client("s3", endpoint_url=nobody, region_name="us-east-1")
    assert judged(lambda: client.list_objects_v2(Bucket="b")).exit_code == 75
    client.close()


def test_s3_without_credentials(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    # The default session would remember credentials of before.
    client = boto3.Session().client("s3", endpoint_url=address, region_name="us-east-1")
    assert judged(lambda: client.list_objects_v2(Bucket="b")).exit_code == 2
    client.close()


def test_no_database() -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine("postgresql+psycopg2://u:hush@127.0.0.1:9/db")
    error = judged(engine.connect)
    assert error.exit_code == 75
    assert "hush" not in str(error)


def test_a_wrong_password_of_a_database() -> None:
    import sqlalchemy.exc

    told = Exception('FATAL:  password authentication failed for user "u"')
    assert as_error(sqlalchemy.exc.OperationalError("", {}, told), "x").exit_code == 2


def test_plain_python(nobody: str) -> None:
    assert judged(lambda: urllib.request.urlopen(nobody)).exit_code == 75
    assert as_error(TimeoutError("the read timed out"), "x").exit_code == 75
    assert as_error(PermissionError("Access Denied."), "x").exit_code == 2
    assert as_error(PermissionError(13, "Permission denied", "/a/file"), "x").exit_code == 2
    assert "credentials" not in str(as_error(PermissionError(13, "denied", "/a/file"), "x"))


def test_a_mistake_in_the_program_is_no_outage() -> None:
    error = as_error(TypeError("unsupported"), "x")
    assert error.exit_code == 1
    assert "TypeError: unsupported" in str(error)


def test_an_error_that_was_judged_stays_itself() -> None:
    first = SymbioError("so it is", 7)
    assert as_error(first, "x") is first
    with pytest.raises(SymbioError) as caught, told_as_error("x"):
        raise first
    assert caught.value is first


def test_no_secret_is_told() -> None:
    signed = "https://u:hush@host/key?X-Amz-Signature=hush&X-Amz-Credential=hush/2026&a=1"
    error = as_error(ConnectionError(f"no answer from {signed}"), f"it lies in {signed}")
    assert "hush" not in str(error)
    assert "a=1" in str(error)
    assert "//***@host/key" in str(error)
