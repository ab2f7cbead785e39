"""The best network so far, by `train.select` on the val split, and its export.

`checkpoints/{dataset}/best/` is a saved network like the exported one; its card says of which
step it is and what it scored, so there is no second record that could disagree.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.files import read_json, sha256_of, whole_folder
from symbio.progress import say
from symbio.train.records.history import write_history

FOLDER = "best"
_CARD, _WEIGHTS = "model.json", "weights.safetensors"


def read_best(run: Path, fingerprint: str) -> dict[str, Any] | None:
    """The card of the best network of this run; None if there is none, or it is damaged."""
    folder = run / FOLDER
    if not folder.is_dir():
        return None
    try:
        card: dict[str, Any] = read_json(folder / _CARD, "the best network's card")
        if card["train"]["fingerprint"] != fingerprint:
            return None
        if sha256_of(folder / _WEIGHTS) == card["weights_sha256"]:
            return card
        say(f"{folder / _WEIGHTS}: does not match its card; the best network is chosen anew")
    except (SymbioError, OSError, KeyError, TypeError) as error:
        say(f"{folder}: the best network cannot be read ({error}); it is chosen anew")
    return None


def export(run: Path, models: Path, fingerprint: str) -> dict[str, Any]:
    """Copy the best network to `models`, whole, with the run's curves beside it.

    Returns:
        Its card.

    Raises:
        SymbioError: the run has no best network that is whole.
    """
    card = read_best(run, fingerprint)
    if card is None:
        raise SymbioError(
            f"{run / FOLDER}: there is no network to export; remove {run} and train again"
        )
    with whole_folder(models) as aside:
        for name in (_WEIGHTS, _CARD):
            shutil.copyfile(run / FOLDER / name, aside / name)
        write_history(run, aside / "history.csv")
        if sha256_of(aside / _WEIGHTS) != card["weights_sha256"]:
            raise SymbioError(
                f"{models}: the copy of the weights is damaged; run the command again"
            )
    return card
