"""`python -m infra.local`: the whole platform on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

from infra.local.ports import Ports, port_from, variable
from infra.local.stack import Stack
from symbio.errors import SymbioError


def main(arguments: list[str] | None = None) -> int:
    """Start, follow, stop. Returns the exit code."""
    try:
        ports = Ports.from_environment()
        asked = _parser(ports).parse_args(arguments)
        for name in asdict(ports):
            given = getattr(asked, name)
            if given is not None:
                ports = replace(ports, **{name: port_from(given, f"--{name}-port")})
        return _run(Stack(asked.root, asked.state or asked.root / ".platform", ports, _say))
    except SymbioError as error:
        print(error, file=sys.stderr, flush=True)
        return error.exit_code


def _parser(ports: Ports) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    for name, port in asdict(ports).items():
        parser.add_argument(
            f"--{name}-port",
            dest=name,
            metavar="PORT",
            help=f"default {port}, or {variable(name)}; 0: any free one",
        )
    parser.add_argument("--root", type=Path, default=Path(), help="the project (default: here)")
    parser.add_argument("--state", type=Path, help="databases, objects, logs (default: .platform)")
    return parser


def _run(stack: Stack) -> int:
    asked_to_stop = threading.Event()
    previous = {}
    began = time.monotonic()
    _say(f"starting in {stack.state}")
    try:
        # Until everything runs, a signal ends the start wherever it is.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            previous[number] = signal.signal(number, _interrupt)
        stack.start()
        for number in previous:
            signal.signal(number, lambda *_: asked_to_stop.set())
        _say(_summary(stack, time.monotonic() - began))
        # Not for ever: an uninterrupted wait would not let Python see a signal.
        while not asked_to_stop.wait(1.0):
            pass
        code = 0
    except KeyboardInterrupt:
        code = 0
    for number in previous:
        signal.signal(number, signal.SIG_IGN)
    _say("stopping")
    began = time.monotonic()
    stack.stop()
    _say(f"stopped ({time.monotonic() - began:.1f} s)")
    return code


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _summary(stack: Stack, took_s: float) -> str:
    services = stack.services
    file = stack.state / "environment"
    return "\n".join(
        [
            f"everything runs ({took_s:.0f} s)",
            f"  Prefect  {services['prefect'].program.where}",
            f"  MLflow   {services['mlflow'].program.where}",
            f"  S3       {services['s3'].program.where}",
            f"  logs     {stack.state / 'logs'}",
            f"in another shell:  . {file}",
            f"who only looks:    . {file}-reader",
            f"logins of MLflow:  writer and reader, passwords in {stack.state / 'secrets.json'}",
            "stop with Ctrl-C",
        ]
    )


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
