"""The whole platform, for a small project of its own: one start for all tests of this file."""

from __future__ import annotations

import base64
import os
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from infra.local.health import answer
from infra.local.postgres import Postgres
from infra.local.secret import Secrets
from infra.local.stack import Ports, Stack
from symbio.errors import SymbioError
from tests.platform.project import end_of_run, living, make_project, start_run, wait_for
from tests.platform.receiver import Receiver

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def told() -> list[str]:
    """What the platform tells its user."""
    return []


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, receiver: Receiver, told: list[str]
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("platform")
    project = make_project(folder / "project")
    # What earlier tests of this process still have, such as torch's resource tracker, is not ours.
    others = set(psutil.Process().children(recursive=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYMBIO_NOTIFY_URL", receiver.url)
        with Stack(
            root=project, state=folder / ".platform", ports=Ports.free(), tell=told.append
        ) as stack:
            family = set(psutil.Process().children(recursive=True)) - others
            yield stack
    assert not living(family), "the platform left processes behind"
    assert not list(stack.state.glob("environment*"))
    assert stack.ports == Ports(
        **{name: _free(getattr(stack.ports, name)) for name in Ports.__slots__}
    )


def _free(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
    return port


def _api(stack: Stack) -> str:
    return stack.environment()["PREFECT_API_URL"]


def _s3(stack: Stack, **changed: str) -> Any:
    import boto3

    given = stack.environment()
    keys = {
        "aws_access_key_id": given["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": given["AWS_SECRET_ACCESS_KEY"],
    }
    return boto3.client(
        "s3",
        endpoint_url=given["AWS_ENDPOINT_URL"],
        region_name=given["AWS_DEFAULT_REGION"],
        **(keys | changed),
    )


def _postgres(stack: Stack) -> Postgres:
    return Postgres(stack.state, stack.ports.postgres, Secrets.of(stack.state))


def test_a_run_goes_through_the_worker_into_database_and_store(stack: Stack) -> None:
    run = start_run(_api(stack), "measure", value=0.25)
    assert end_of_run(_api(stack), run)["type"] == "COMPLETED"

    with _postgres(stack).connected("mlflow") as cursor:
        cursor.execute(
            "SELECT artifact_uri, value FROM runs JOIN metrics USING (run_uuid) WHERE key = 'value'"
        )
        ((artifacts, value),) = cursor.fetchall()
    assert value == 0.25
    assert artifacts.startswith("s3://symbio-mlflow/")
    key = artifacts.removeprefix("s3://symbio-mlflow/") + "/note.txt"
    body = _s3(stack).get_object(Bucket="symbio-mlflow", Key=key)["Body"].read()
    assert body == b"forty-two"

    # MLflow's pages show artifacts through the server, which reads them with its own keys.
    mlflow = stack.environment()["MLFLOW_TRACKING_URI"]
    run_id = artifacts.split("/")[-2]
    page = f"{mlflow}/get-artifact?path=note.txt&run_uuid={run_id}"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(page, timeout=10)
    secrets = Secrets.of(stack.state)
    login = base64.b64encode(f"reader:{secrets.mlflow_reader}".encode()).decode()
    asked = urllib.request.Request(page, headers={"Authorization": f"Basic {login}"})
    with urllib.request.urlopen(asked, timeout=10) as response:
        assert response.read() == b"forty-two"

    # Prefect too keeps its state in PostgreSQL, and each worker fills in its own folder.
    with _postgres(stack).connected("prefect") as cursor:
        cursor.execute("SELECT state_type FROM flow_run WHERE id = %s", (run,))
        assert cursor.fetchone() == ("COMPLETED",)
    deployment = answer(f"{_api(stack)}/deployments/name/measure/local")
    assert "{{ $SYMBIO_HOME }}" in str(deployment["pull_steps"])


def test_the_store_has_both_buckets_and_checks_signatures(stack: Stack) -> None:
    from botocore import UNSIGNED
    from botocore.client import Config
    from botocore.exceptions import ClientError

    buckets = {bucket["Name"] for bucket in _s3(stack).list_buckets()["Buckets"]}
    assert buckets == {"symbio-data", "symbio-mlflow"}
    _s3(stack).put_object(Bucket="symbio-data", Key="kept", Body=b"x")
    refused = [
        _s3(stack, aws_secret_access_key="wrong"),
        _s3(stack, aws_access_key_id="unknown"),
        _s3(stack, config=Config(signature_version=UNSIGNED)),  # type: ignore[arg-type]
    ]
    for client in refused:
        with pytest.raises(ClientError) as refusal:
            client.get_object(Bucket="symbio-data", Key="kept")
        assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_reader_of_the_store_changes_nothing_there(stack: Stack) -> None:
    from botocore.exceptions import ClientError

    secrets = Secrets.of(stack.state)
    _s3(stack).put_object(Bucket="symbio-mlflow", Key="seen", Body=b"x")
    reader = _s3(
        stack,
        aws_access_key_id=secrets.s3_reader_key_id,
        aws_secret_access_key=secrets.s3_reader_secret,
    )
    assert reader.get_object(Bucket="symbio-mlflow", Key="seen")["Body"].read() == b"x"
    listed = reader.list_objects_v2(Bucket="symbio-mlflow")["Contents"]
    assert "seen" in {one["Key"] for one in listed}
    where = {"Bucket": "symbio-mlflow", "Key": "seen"}
    for change in (
        lambda: reader.put_object(**where, Body=b"y"),
        lambda: reader.delete_object(**where),
        lambda: reader.copy_object(**where | {"Key": "copy"}, CopySource=where),
        lambda: reader.create_multipart_upload(**where),
        lambda: reader.create_bucket(Bucket="mine"),
        lambda: reader.delete_bucket(Bucket="symbio-data"),
    ):
        with pytest.raises(ClientError) as refusal:
            change()
        assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert reader.get_object(**where)["Body"].read() == b"x"


def test_a_failed_run_is_told_of(stack: Stack, receiver: Receiver) -> None:
    run = start_run(_api(stack), "stumble")
    assert end_of_run(_api(stack), run)["type"] == "FAILED"
    wait_for(lambda: bool(receiver.received), 20.0, "a word to SYMBIO_NOTIFY_URL")
    ((kind, told),) = receiver.received
    assert kind == "application/json"
    assert told["flow"] == "stumble"
    assert told["state"] == "Failed"
    assert 'it "stumbled"' in told["message"]
    assert told["deployment"] == "local"
    assert run in told["url"]
    assert told["url"].startswith(f"http://127.0.0.1:{stack.ports.prefect}/")


def test_registering_again_changes_nothing(stack: Stack) -> None:
    api = _api(stack)

    def known() -> dict[str, list[str]]:
        found = {
            "pools": [(one["name"], one["type"]) for one in answer(f"{api}/work_pools/filter", {})],
            "limits": answer(f"{api}/v2/concurrency_limits/filter", {}),
            "automations": answer(f"{api}/automations/filter", {}),
            "deployments": answer(f"{api}/deployments/filter", {}),
        }
        return {
            what: sorted(
                one if isinstance(one, tuple) else (one["id"], one["name"]) for one in all_
            )
            for what, all_ in found.items()
        }

    before = known()
    assert before["pools"] == [
        ("cluster", "process"),
        ("kubernetes", "kubernetes"),
        ("local", "process"),
        ("slurm", "process"),
    ]
    places = ("cluster", "kubernetes", "local", "slurm")
    assert {name for _, name in before["limits"]} == {f"training-{place}" for place in places}
    assert (len(before["automations"]), len(before["deployments"])) == (2, 3)

    environment = {
        **os.environ,
        **stack.environment(),
        "PREFECT_HOME": str(stack.state / "prefect"),
        "SYMBIO_NOTIFY_URL": "http://127.0.0.1:9/another",
    }
    command = [sys.executable, "-m", "infra.register", "--project", str(stack.root)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    assert known() == before

    # Where nobody is to be told any more, the automation goes.
    del environment["SYMBIO_NOTIFY_URL"]
    command[-1] = str(stack.state)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    assert len(known()["automations"]) == 1


def test_secrets_are_in_no_log_and_no_command_line(stack: Stack) -> None:
    secrets = Secrets.of(stack.state)
    hidden = [secrets.postgres_password, secrets.s3_secret, secrets.s3_inner]
    hidden += [secrets.mlflow_admin, secrets.mlflow_writer, secrets.mlflow_reader]
    hidden += [secrets.mlflow_signing, secrets.s3_reader_secret]
    seen = [path.read_text(errors="replace") for path in (stack.state / "logs").iterdir()]
    seen += [" ".join(one.cmdline()) for one in psutil.Process().children(recursive=True)]
    assert len(seen) > 15
    assert not [text for text in hidden if any(text in where for where in seen)]


def test_another_shell_gets_everything_from_one_file(stack: Stack) -> None:
    path = stack.state / "environment"
    assert path.stat().st_mode & 0o777 == 0o600
    script = f". {shlex.quote(str(path))} && env -0"
    done = subprocess.run(["sh", "-c", script], env={}, capture_output=True, text=True, timeout=10)
    shell = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    assert stack.environment().items() <= shell.items()


def test_readers_have_a_file_of_their_own(stack: Stack) -> None:
    path = stack.state / "environment-reader"
    assert path.stat().st_mode & 0o777 == 0o600
    secrets = Secrets.of(stack.state)
    assert secrets.mlflow_reader in path.read_text()
    assert secrets.mlflow_writer not in path.read_text()
    assert secrets.s3_secret not in path.read_text()


def test_a_second_platform_in_the_same_place_is_refused(stack: Stack) -> None:
    with pytest.raises(SymbioError, match=f"already runs in .*: PID {os.getpid()}"):
        Stack(root=stack.root, state=stack.state, ports=Ports.free()).start()
    assert stack.services["prefect"].healthy()


def test_what_dies_comes_back_and_what_is_stopped_stays_away(stack: Stack, told: list[str]) -> None:
    mlflow, store = stack.services["mlflow"], stack.services["s3"]
    store.stop()
    first = mlflow.pid
    mlflow.kill()
    stack.services["postgres"].kill()
    wait_for(mlflow.healthy, 60.0, "MLflow's return")
    assert mlflow.pid != first
    said = "\n".join(told)
    assert "MLflow died" in said
    assert "-- ended by SIGKILL" in said
    assert "PostgreSQL died" in said
    assert "S3 store died" not in said
    assert not store.alive
    store.start()
    wait_for(lambda: all(one.healthy() for one in stack.services.values()), 60.0, "all healthy")
    assert _s3(stack).get_object(Bucket="symbio-data", Key="kept")["Body"].read() == b"x"
    run = start_run(_api(stack), "measure", value=0.5)
    assert end_of_run(_api(stack), run, 90.0)["type"] == "COMPLETED"


def test_a_run_outlives_prefects_absence_and_says_when_it_is_stopped(stack: Stack) -> None:
    run = start_run(_api(stack), "linger")
    wait_for(lambda: _state(stack, run) == "RUNNING", 60.0, "the run's start")

    # Prefect is away for longer than a run may be silent, as far as its database can tell.
    expected = "SELECT count(*) FROM automation_bucket WHERE bucketing_key::text LIKE %s"
    with _postgres(stack).connected("prefect") as cursor:

        def heard() -> bool:
            cursor.execute(expected, (f"%{run}%",))
            return bool(cursor.fetchone() == (1,))

        wait_for(heard, 20.0, "the run's first heartbeat")
        stack.services["prefect"].stop()
        cursor.execute("UPDATE automation_bucket SET \"end\" = now() - interval '20 seconds'")
    stack.services["prefect"].start()
    # It decides within seconds.
    time.sleep(12.0)
    assert _state(stack, run) == "RUNNING"

    stack.services["worker"].stop()
    assert _state(stack, run) == "CRASHED"
    stack.services["worker"].start()


def _state(stack: Stack, run: str) -> str:
    return str(answer(f"{_api(stack)}/flow_runs/{run}")["state"]["type"])
