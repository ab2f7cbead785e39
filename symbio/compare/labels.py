"""Against which labels classes can be compared: those of the truth, and those of one teacher."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from symbio.compare.alike import Alike
from symbio.compare.subject import Subject
from symbio.data.classes import ADE20K
from symbio.tracking.measurements import run_facts

KINDS = ("truth", "pseudo")


def comparable_labels(
    root: Path, subjects: Sequence[Subject], alike: Alike
) -> tuple[list[str], list[str]]:
    """Those of `KINDS` that all were scored against alike; and what there is to say of others.

    Raises what MLflow raises when the store is away.
    """
    labels = [
        kind for kind in KINDS if all(_scored(kind, one.metrics) for one in alike.measurements)
    ]
    notes = []
    if not alike.classes:
        spaces = sorted({str(one.metrics.get("label_space")) for one in alike.measurements})
        labels = [kind for kind in labels if kind != "truth"]
        notes.append(
            f"Classes of the truth were scored in different ways (label space "
            f"{' and '.join(spaces)}, or other maps): they are left out."
        )
    if "pseudo" in labels:
        why = _not_comparable(root, subjects, alike)
        if why is not None:
            labels.remove("pseudo")
            notes.append(f"Scores against pseudo-labels are left out: {why}.")
    return labels, notes


def _scored(kind: str, metrics: dict[str, object]) -> bool:
    trained = metrics["trained"]
    assert isinstance(trained, dict)
    return any(name.startswith(f"{kind}_") for name in trained)


def _not_comparable(root: Path, subjects: Sequence[Subject], alike: Alike) -> str | None:
    spoken = {one.trained.params.get("labels.space", ADE20K) for one in subjects}
    if len(spoken) > 1:
        return f"the networks say different classes ({', '.join(sorted(spoken))})"
    tag = f"symbio.index.data/pseudo/{subjects[0].dataset}"
    labelled = {run_facts(root, one.run_id).tags.get(tag) for one in alike.measurements}
    if None in labelled:
        return "it is not known of all which pseudo-labels those were"
    return "they were different ones" if len(labelled) > 1 else None
