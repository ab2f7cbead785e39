"""A study as a task: what `symbio search` and `symbio ablate` have in common for a flow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.machines import Machines
from flows.page.study import show_study
from flows.stage import run_verb
from flows.started import checkout

SEARCHES = Path("searches")
BEST = "best-params.yaml"


@dataclass(frozen=True, slots=True)
class Study:
    """Which study, and how it is worked on."""

    verb: str
    """ "search" or "ablate"."""
    dataset: str
    suite: str | None = None
    """Of an ablation."""
    name: str | None = None
    """None: as `symbio` names it, and in a worktree that and the worktree's name."""
    trials: int | None = None
    workers: int | None = None

    def name_in(self, root: Path) -> str:
        """The study's name where flows work in `root`.

        A database may hold the studies of all worktrees, and their params differ.
        """
        usual = "-".join(filter(None, (self.dataset, self.suite)))
        return self.name or (usual if root == checkout() else f"{usual}-{root.name}")

    def command(self, root: Path) -> list[str]:
        """The command line that runs it, or goes on with it."""
        flags = {"study": self.name_in(root), "trials": self.trials, "workers": self.workers}
        words = filter(None, ("symbio", self.verb, self.dataset, self.suite))
        given = ((f"--{flag}", str(value)) for flag, value in flags.items() if value is not None)
        return [*words, *(word for pair in given for word in pair)]


def run_study(root: Path, study: Study, machines: Machines) -> dict[str, Any]:
    """Run a study in an opened workspace to its end; its answer is shown on the run's page.

    Returns:
        study (its name), folder (below the checkout).

    Raises:
        CommandFailed: no trial finished, or a mistake in params. What is known is shown all the
            same.
    """
    name = study.name_in(root)
    folder = root / SEARCHES / name
    try:
        run_verb(root, f"{study.verb}@{name}", study.command(root), machines)
    finally:
        show_study(root, folder)
    return {"study": name, "folder": str(folder.relative_to(checkout()))}
