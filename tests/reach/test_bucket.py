"""What can be wrong with a place in S3, against a real store."""

from __future__ import annotations

import socket
import time

import pytest

from symbio.errors import SymbioError
from symbio.reach.bucket import check_bucket
from tests.reach.object_store import KEY, SECRET, ObjectStore, free_ports
from tests.reach.proxy import HANG, LATE, UNAVAILABLE, Proxy

VARIABLES = ("SYMBIO_DVC_REMOTE", "AWS_ENDPOINT_URL_S3")


def check(url: str) -> None:
    check_bucket(url, "data", VARIABLES)


def failure(url: str) -> SymbioError:
    with pytest.raises(SymbioError) as told:
        check(url)
    return told.value


def test_a_place_that_works_is_left_as_it_was(
    store: ObjectStore, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", store.url)
    check(f"s3://{bucket}/a/prefix")
    check(f"s3://{bucket}")
    assert store.objects(bucket) == {}


def test_a_write_that_comes_after_its_deletion_is_deleted_too(
    store: ObjectStore, proxy: Proxy, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy store may carry out a write that the client gave up on and repeated."""
    monkeypatch.setattr("symbio.reach.bucket._TIMEOUT_S", 2)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
    proxy.fail(LATE, requests=1, only=lambda head: head.startswith(b"PUT "))
    check(f"s3://{bucket}/dvc")
    assert proxy.seen[LATE] == 1
    assert proxy.carried_out.is_set()
    assert b" 200 OK" in proxy.late_answers
    assert store.objects(bucket) == {}


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong-secret-9Kq", "SignatureDoesNotMatch"),
        ("AWS_ACCESS_KEY_ID", "wrong-key-9Kq", "InvalidAccessKeyId"),
    ],
)
def test_wrong_keys_are_told_at_once_and_not_shown(
    store: ObjectStore,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    code: str,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", store.url)
    monkeypatch.setenv(variable, value)
    begun = time.monotonic()
    error = failure(f"s3://{bucket}/dvc")
    assert time.monotonic() - begun < 5
    assert error.exit_code == 2
    for expected in (f"s3://{bucket}/dvc", store.url, code, f"{variable} (set)", *VARIABLES):
        assert expected in str(error)
    for secret in ("9Kq", KEY, SECRET):
        assert secret not in str(error)


def test_no_keys(store: ObjectStore, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", store.url)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    error = failure(f"s3://{bucket}")
    assert error.exit_code == 2
    assert "AWS_ACCESS_KEY_ID (not set)" in str(error)


def test_a_missing_bucket_is_named_and_not_made(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", store.url)
    error = failure("s3://not-there/dvc")
    assert error.exit_code == 2
    assert "s3://not-there/dvc" in str(error)
    assert "NoSuchBucket" in str(error)
    names = [one["Name"] for one in store.client().list_buckets()["Buckets"]]
    assert "not-there" not in names


def test_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{port}")
    error = failure("s3://data")
    assert error.exit_code == 75
    assert f"127.0.0.1:{port}" in str(error)


@pytest.mark.parametrize("fault", [UNAVAILABLE, HANG])
def test_a_store_that_is_unwell_may_be_asked_again(
    proxy: Proxy, bucket: str, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
    proxy.fail(fault)
    begun = time.monotonic()
    error = failure(f"s3://{bucket}")
    assert error.exit_code == 75
    assert time.monotonic() - begun < 15
    proxy.heal()
    check(f"s3://{bucket}")


def test_an_unknown_host_is_a_mistake_where_name_servers_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = "no-such-host.invalid"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:8333")
    with pytest.raises(socket.gaierror) as told:
        socket.getaddrinfo(host, None)
    error = failure("s3://data")
    # A machine without a name server cannot know it.
    assert error.exit_code == (75 if told.value.errno == socket.EAI_AGAIN else 2)
    assert host in str(error)
