"""Studies whose trials end as told, without any training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState, create_trial

from symbio.search.attributes import CHANGES, SECONDS, SEED, VARIANT
from symbio.search.frames import ClassCounts, Frames, SplitFrames, write_frames

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "train.lr": FloatDistribution(1e-4, 1e-2, log=True),
    "nearfarmix.mix": CategoricalDistribution(["none", "cutmix"]),
    "model.symbiosis.window": IntDistribution(2, 8, step=2),
}


def new_study(*directions: str, storage: str | None = None) -> optuna.Study:
    """An empty study, in memory or where `storage` says; without directions it minimises."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(directions=directions or ("minimize",), storage=storage)


def add_trial(
    study: optuna.Study,
    changes: dict[str, Any],
    *values: float,
    state: TrialState = TrialState.COMPLETE,
    variant: str | None = None,
    seed: int | None = None,
    curve: dict[int, float] | None = None,
    constraints: dict[str, float] | None = None,
    **attributes: Any,
) -> None:
    """Add a trial; `attributes` are further user attributes."""
    known = {CHANGES: changes, SECONDS: 60.0, **attributes}
    known |= {key: value for key, value in ((VARIANT, variant), (SEED, seed)) if value is not None}
    study.add_trial(
        create_trial(
            state=state,
            values=list(values) or None,
            params={key: value for key, value in changes.items() if key in DISTRIBUTIONS},
            distributions={key: DISTRIBUTIONS[key] for key in changes if key in DISTRIBUTIONS},
            user_attrs=known,
            intermediate_values=curve or {},
            constraints=constraints,
        )
    )


def measured(folder: Path, number: int, abs_rel: dict[str, list[float]]) -> None:
    """Write a trial's frames.json: split -> abs_rel of its frames."""
    splits = {}
    for split, values in abs_rel.items():
        count = len(values)
        truth = ClassCounts("nyu40", [100] * count, [[[1, 40, 80]]] * count)
        splits[split] = SplitFrames(
            keys=[f"{split}-{n}" for n in range(count)],
            scenes=[f"scene-{n}" for n in range(count)],
            pixels=[100] * count,
            metrics={"abs_rel": [*values]},
            totals={"abs_rel": sum(values) / count, "truth_miou": 0.5},
            classes={"truth": truth},
        )
    path = folder / f"trial-{number:04d}" / "frames.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = Frames("m" * 64, "nyu", "nyu-eigen", "per-image", "d" * 64, "c" * 64, splits)
    write_frames(path, frames)
