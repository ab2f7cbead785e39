"""All services of the platform: started in order, kept running, stopped in reverse order."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.local import lock
from infra.local.mlflow import Mlflow
from infra.local.named import name_server, unname_server
from infra.local.ports import Ports
from infra.local.postgres import Postgres
from infra.local.prefect import Prefect
from infra.local.program import Program
from infra.local.s3 import ObjectStore
from infra.local.secret import Secrets, write_private
from infra.local.service import Service
from infra.local.surroundings import clients, plain, readers
from infra.local.worker import Worker
from symbio.errors import SymbioError

__all__ = ["Ports", "Stack"]

_ENVIRONMENT, _READERS_ENVIRONMENT = "environment", "environment-reader"
_LOOK_S = 0.5
_BACK_OFF_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
_STEADY_S = 120.0
"""A service that ran this long before it died is started again as after its first death."""
_REGISTER_S = 300.0


class Stack:
    """The platform of one project.

        with Stack(root=project, state=project / ".platform", ports=Ports.free()) as stack:
            stack.services["mlflow"].stop()

    Services: postgres, s3, mlflow, prefect, worker. One that dies is started again by itself; one
    that was stopped stays stopped.
    """

    def __init__(
        self, root: Path, state: Path, ports: Ports, tell: Callable[[str], None] | None = None
    ) -> None:
        """Nothing is started and nothing is written yet.

        Args:
            root: the project: flows run there, its prefect.yaml names the deployments.
            state: folder for databases, objects and logs; made if it is not there.
            ports: where the servers listen; 0 is replaced by a free port.
            tell: called with a line about what happens; default: nobody is told.
        """
        self.root = root.resolve()
        self.state = state.resolve()
        self.ports = ports.chosen()
        self.services: dict[str, Service] = {}
        self._tell = tell or (lambda line: None)
        self._lock: int | None = None
        self._secrets: Secrets | None = None
        self._failure: BaseException | None = None
        self._stopping = threading.Event()
        self._keepers: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and register the project's deployments; returns when all of it works.

        Raises:
            SymbioError: another platform runs in the state folder, a port is taken, or a service
                or the registration failed. Nothing is left running.
        """
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = lock.take(self.state / "lock")
        self._failure = None
        try:
            # A platform that was killed left them.
            self._forget_environments()
            unname_server(self.root)
            self.ports.check()
            self._secrets = Secrets.of(self.state)
            self.services = self._made(self._secrets, self._lock)
            self._start_services()
            self._write_environments(self._secrets)
            if not name_server(self.root, self.environment()["PREFECT_API_URL"]):
                self._tell(f"{self.root}/prefect.toml is somebody else's and stays as it is")
            for service in self.services.values():
                keeper = threading.Thread(target=self._keep, args=(service,), daemon=True)
                keeper.start()
                self._keepers.append(keeper)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything in reverse order; returns when no process is left."""
        if self._lock is None:
            return
        self._stopping.set()
        self._forget_environments()
        unname_server(self.root)
        for service in self.services.values():
            service.wanted = False
        for keeper in self._keepers:
            keeper.join()
        self._keepers.clear()
        for service in reversed(self.services.values()):
            service.stop()
        os.close(self._lock)
        self._lock = None
        self._stopping.clear()

    def environment(self) -> dict[str, str]:
        """Variables with which a process uses this platform: addresses, keys, DVC remote."""
        if self._secrets is None:
            raise SymbioError("the platform has not been started")
        return clients(self.ports, self._secrets)

    def _forget_environments(self) -> None:
        for name in (_ENVIRONMENT, _READERS_ENVIRONMENT):
            (self.state / name).unlink(missing_ok=True)

    def _made(self, secrets: Secrets, held: int) -> dict[str, Service]:
        postgres = Postgres(self.state, self.ports.postgres, secrets)
        programs: list[Program] = [
            postgres,
            ObjectStore(self.state, self.ports, secrets),
            Mlflow(self.ports, secrets, postgres),
            Prefect(self.state, self.ports.prefect, postgres),
            Worker(self.root, self.state, self.ports, secrets),
        ]
        logs = self.state / "logs"
        return {program.name: Service(program, logs, held) for program in programs}

    def _start_services(self) -> None:
        """Those that need each other one after the other, the others side by side."""
        with ThreadPoolExecutor() as pool:
            store = pool.submit(self._start, "s3")
            try:
                self._start("postgres")
                mlflow = pool.submit(self._start, "mlflow")
                self._start("prefect")
                self._register()
                self._start("worker")
                mlflow.result()
                store.result()
            except BaseException as error:
                self._give_up(error)
        if self._failure is not None:
            raise self._failure

    def _start(self, name: str) -> None:
        service, began = self.services[name], time.monotonic()
        try:
            if self._failure is not None:
                return
            service.start()
        except SymbioError as error:
            self._give_up(error)
            raise
        took = time.monotonic() - began
        self._tell(f"{service.program.title} runs ({took:.0f} s): {service.program.where}")

    def _give_up(self, error: BaseException) -> None:
        """Note the first error, the cause, and let no other service go on starting."""
        self._failure = self._failure or error
        for service in self.services.values():
            service.wanted = False

    def _register(self) -> None:
        """Pools, limits, automations and deployments; in a process, for Prefect reads its
        settings when it is imported."""
        began = time.monotonic()
        home = Path(__file__).resolve().parents[2]
        done = subprocess.run(
            [sys.executable, "-m", "infra.register", "--project", str(self.root)],
            env=plain()
            | self.environment()
            | {"PREFECT_HOME": str(self.state / "prefect"), "PYTHONPATH": str(home)},
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=_REGISTER_S,
        )
        log = self.state / "logs" / "register.log"
        log.write_text(done.stdout + done.stderr, encoding="utf-8")
        if done.returncode != 0:
            raise SymbioError(
                f"what {self.root} deploys cannot be registered ({log}):\n"
                f"{(done.stderr or done.stdout).strip()}",
                done.returncode,
            )
        self._tell(f"registered ({time.monotonic() - began:.0f} s): {done.stdout.strip()}")

    def _write_environments(self, secrets: Secrets) -> None:
        files = {
            _ENVIRONMENT: self.environment(),
            _READERS_ENVIRONMENT: readers(self.ports, secrets),
        }
        for file, variables in files.items():
            lines = [f"export {name}={shlex.quote(text)}" for name, text in variables.items()]
            write_private(self.state / file, "\n".join(lines) + "\n")

    def _keep(self, service: Service) -> None:
        """Start a service that died again: soon, then less and less often."""
        tried, back_at = 0, time.monotonic()
        title = service.program.title
        while not self._stopping.wait(_LOOK_S):
            if not service.died:
                continue
            if time.monotonic() - back_at > _STEADY_S:
                tried = 0
            delay = _BACK_OFF_S[min(tried, len(_BACK_OFF_S) - 1)]
            tried += 1
            self._tell(
                f"{title} died; the end of {service.log}:\n{service.tail()}\n"
                f"{title} starts again in {delay:.0f} s"
            )
            if self._stopping.wait(delay) or not service.died:
                continue
            try:
                service.start()
                back_at = time.monotonic()
                self._tell(f"{title} runs again")
            except (SymbioError, OSError) as error:
                self._tell(str(error))
