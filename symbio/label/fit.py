"""Fit the small teacher that the sample preset ships: `python -m symbio.label.fit --help`.

Stage 1 trains the backbone and the pixel decoder under a linear per-pixel classifier; stage 2
starts the queries from that classifier (`fit_queries`) and trains the whole model on the
likelihood of the class map that labelling uses. The best weights so far are saved every few
minutes, so that the command can be stopped at any time.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from symbio.files import read_json, sha256_of, whole_folder, write_json
from symbio.label import fit_frames, fit_models
from symbio.label.fit_card import card
from symbio.label.fit_network import Fitted
from symbio.label.fit_train import Scores, classes_in, train
from symbio.progress import say

FACTS = "fit.json"
"""How a teacher was made, beside its weights."""
_PEAK_LR = 2e-3
HELD_OUT = 60
"""Frames of each world that are not trained on: the first ones of its stream."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says."""

    out: Path
    minutes: float
    seed: int
    frames: int
    cache: Path
    architecture: str
    start_from: Path | None


def fit(settings: Settings) -> Scores:
    """Render, train, evaluate and save; returns the best scores on held-out frames."""
    torch.manual_seed(settings.seed)
    training, held_out = {}, {}
    for world in fit_frames.WORLDS:
        frames = fit_frames.load_or_render(world, settings.seed, settings.frames, settings.cache)
        training[world], held_out[world] = fit_frames.split(frames, HELD_OUT)
    earlier = None
    if settings.start_from is not None and (settings.start_from / FACTS).is_file():
        # Read now: the folder may be the one that is written to.
        earlier = read_json(settings.start_from / FACTS, "the facts of a fitted teacher")
    classes = classes_in(list(training.values()))
    universal = settings.architecture == "oneformer"
    model = _model(settings, len(classes)).to(memory_format=torch.channels_last)
    fitted = Fitted(model, universal, classes)
    return train(
        fitted,
        training,
        held_out,
        settings.minutes,
        settings.seed,
        whole=not universal or settings.start_from is not None,
        peak_lr=_PEAK_LR if settings.start_from is None else _PEAK_LR / 2,
        save=lambda best, found: save(settings, best, found, earlier),
    )


def save(
    settings: Settings, fitted: Fitted, found: Scores, earlier: dict[str, Any] | None = None
) -> None:
    """Write the model (half precision safetensors), its processor and its card, whole.

    Args:
        settings: the command line.
        fitted: what to write.
        found: its scores on held-out frames.
        earlier: the facts of the weights that it started from.
    """
    with whole_folder(settings.out) as folder:
        copy.deepcopy(fitted.model).half().save_pretrained(folder)
        fit_models.save_processor(folder, settings.architecture, fit_frames.REDUCTION)
        facts = {
            "architecture": settings.architecture,
            "seed": settings.seed,
            "minutes": settings.minutes,
            "frames_per_world": settings.frames,
            "held_out_per_world": HELD_OUT,
            "earlier": earlier,
            "parameters": sum(p.numel() for p in fitted.model.parameters()),
            "weights_sha256": sha256_of(folder / "model.safetensors"),
            "held_out": {key: round(value, 4) for key, value in found.items()},
        }
        write_json(folder / FACTS, facts)
        (folder / "README.md").write_text(card(facts), encoding="utf-8")


def _model(settings: Settings, num_classes: int) -> Any:
    if settings.start_from is not None:
        from symbio.label.teacher import load_model

        return load_model(settings.start_from)
    if settings.architecture == "oneformer":
        # One query a class, the task token's, and a few spare ones.
        return fit_models.build_oneformer(max(40, num_classes + 1))
    return fit_models.build_segformer()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m symbio.label.fit", description=__doc__)
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder of the teacher to make")
    add("--minutes", type=float, default=60.0, help="time to train; rendering comes on top")
    add("--seed", type=int, default=0)
    add("--frames", type=int, default=600, help="frames to render of each world")
    add("--cache", type=Path, default=Path("data/.fit"), help="where rendered frames are kept")
    add("--architecture", choices=("oneformer", "segformer"), default="oneformer")
    add("--start-from", type=Path, help="continue from the weights in this folder")
    found = fit(Settings(**vars(parser.parse_args(arguments))))
    say("best on held-out frames: " + ", ".join(f"{k} {v:.4f}" for k, v in found.items()))


if __name__ == "__main__":
    main()
