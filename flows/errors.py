"""How a command that a flow ran can fail, told apart by whether a retry can help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect import Task
    from prefect.client.schemas import TaskRun
    from prefect.client.schemas.objects import State


class CommandFailed(Exception):
    """The command failed, and would again: bad parameters, bad input, a defect."""


class TryAgain(CommandFailed):
    """The same command continues: a server was away, a machine was taken, a process was killed."""


def worth_a_retry(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Prefect's question after a failed task."""
    result = state.result(raise_on_failure=False)
    return isinstance(result, TryAgain)
