"""The training loop of a small teacher; see `symbio.label.fit` for the whole."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from symbio.data.classes import IGNORE, NUM_CLASSES
from symbio.data.draws import rng_for
from symbio.label.fit_frames import WORLDS, Frames, augment, to_tensors, with_border
from symbio.label.fit_loss import map_loss, sample_target
from symbio.label.fit_network import Fitted
from symbio.label.fit_queries import start_queries
from symbio.progress import say

BATCH = 8
_WARMUP = 0.04
_PIXEL_SHARE = 0.4
"""Share of the time for stage 1."""
_EVALUATE_EVERY_S = 150.0
_EMA_DECAY = 0.99
_BALANCE = 0.3
"""Exponent of the inverse class frequency in the loss."""
_MAP_WEIGHTS = (1.0, 0.3, 0.3)

Scores = dict[str, float]
Save = Callable[[Fitted, Scores], None]


def train(
    fitted: Fitted,
    training: dict[str, Frames],
    held_out: dict[str, Frames],
    minutes: float,
    seed: int,
    whole: bool,
    peak_lr: float,
    save: Save,
) -> Scores:
    """Train for a time; `save` is called with each best so far.

    Args:
        fitted: the model.
        training: frames by world; batches take the worlds in turn.
        held_out: frames by world that choose the best weights.
        minutes: wall-clock time, which also paces the learning rate.
        seed: of frames and augmentation.
        whole: start in stage 2, for a model whose queries were trained before.
        peak_lr: highest learning rate.
        save: gets the averaged weights and their scores.

    Returns:
        The scores of the best weights.
    """
    index, weight = _targets(fitted, training)
    optimiser, average = _optimiser(fitted), _average(fitted)
    begun = evaluated = time.monotonic()
    best: Scores = {}
    step, progress = 0, 0.0
    while progress < 1.0:
        if not whole and progress >= _PIXEL_SHARE:
            classes = fitted.classes.tolist()
            start_queries(fitted.model, classes, fitted.classifier.detach(), fitted.tokens)
            whole, optimiser, average = True, _optimiser(fitted), _average(fitted)
            say(f"step {step}: the queries start")
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(progress, peak_lr)
        world = WORLDS[step % len(WORLDS)]
        rng = rng_for(seed, "fit-step", step)
        rows = rng.integers(0, len(training[world]), BATCH)
        image, label = to_tensors(training[world], rows)
        image, label = augment(image, label, rng, border=world == "rooms")
        place = (float(rng.random()), float(rng.random()))
        losses, accuracy = _step(fitted, optimiser, image, index[label], weight, whole, place)
        average.update_parameters(fitted)
        step += 1
        progress = (time.monotonic() - begun) / (60 * minutes)
        if step % 50 == 0:
            shown = " ".join(f"{value:.3f}" for value in losses)
            say(f"{progress:4.0%} step {step} {world}: losses {shown}, accuracy {accuracy:.3f}")
        if progress >= 1.0 or time.monotonic() - evaluated > _EVALUATE_EVERY_S:
            best = _keep_best(average.module, held_out, whole, best, save)
            evaluated = time.monotonic()
    return best


def learning_rate(progress: float, peak: float) -> float:
    """One cycle: linear rise, cosine fall to peak / 1000; `progress` is 0..1."""
    if progress < _WARMUP:
        return peak * max(progress / _WARMUP, 0.02)
    fall = min((progress - _WARMUP) / (1 - _WARMUP), 1.0)
    return peak * (0.5 * (1 + math.cos(math.pi * fall)) + 1e-3)


def classes_in(frames: Sequence[Frames]) -> list[int]:
    """The classes that occur, rising."""
    return sorted({int(label) for part in frames for label in np.unique(part.label)} - {IGNORE})


@torch.no_grad()
def scores(fitted: Fitted, frames: Frames, whole: bool, border: bool) -> tuple[float, float]:
    """Pixel accuracy and mean IoU over the classes of the truth, at the size of the frames.

    With `border`, under the black border that prepared NYU frames have.
    """
    fitted.eval()
    confusion = np.zeros((NUM_CLASSES, NUM_CLASSES), dtype=np.int64)
    for start in range(0, len(frames), BATCH):
        rows = np.arange(start, min(start + BATCH, len(frames)))
        image, label = to_tensors(frames, rows)
        if border:
            image = with_border(image, torch.zeros(len(image), 1, 1, 1))
        maps = fitted.maps(image, whole)[0]
        full = nn.functional.interpolate(maps, size=label.shape[-2:], mode="bilinear")
        found = fitted.classes[full.argmax(1)]
        pairs = (label * NUM_CLASSES + found).ravel().numpy()
        confusion += np.bincount(pairs, minlength=confusion.size).reshape(confusion.shape)
    right = np.diag(confusion)
    union = confusion.sum(0) + confusion.sum(1) - right
    present = confusion.sum(1) > 0
    return float(right.sum() / confusion.sum()), float((right[present] / union[present]).mean())


def worst_accuracy(found: Scores) -> float:
    """The lower of the worlds' pixel accuracies; -1 where there is none yet."""
    return min((v for k, v in found.items() if k.endswith("pixel_accuracy")), default=-1.0)


def _step(
    fitted: Fitted,
    optimiser: torch.optim.Optimizer,
    image: Tensor,
    target: Tensor,
    weight: Tensor,
    whole: bool,
    place: tuple[float, float],
) -> tuple[list[float], float]:
    """One optimiser step; returns the loss of each map and the accuracy of the first."""
    fitted.train()
    maps = fitted.maps(image, whole)
    target = sample_target(target, (maps[0].shape[-2], maps[0].shape[-1]), place)
    losses = [map_loss(probability, target, weight) for probability in maps]
    total = sum((w * loss for w, loss in zip(_MAP_WEIGHTS, losses, strict=False)), torch.zeros(()))
    optimiser.zero_grad()
    total.backward()  # type: ignore[no-untyped-call]
    if torch.isfinite(nn.utils.clip_grad_norm_(fitted.parameters(), 1.0)):
        optimiser.step()
    accuracy = (maps[0].argmax(1) == target).float().mean()
    return [float(loss.detach()) for loss in losses], float(accuracy)


def _targets(fitted: Fitted, training: dict[str, Frames]) -> tuple[Tensor, Tensor]:
    """Index of each class id in the maps (256), 255 where it has none; weight of each index."""
    classes = fitted.classes.numpy()
    shares = np.mean(
        [
            np.bincount(f.label.ravel(), minlength=256)[classes] / f.label.size
            for f in training.values()
        ],
        axis=0,
    )
    weight = np.clip((1 / len(classes) / np.maximum(shares, 1e-9)) ** _BALANCE, 0.4, 3.0)
    index = torch.full((256,), IGNORE)
    index[fitted.classes] = torch.arange(len(classes))
    return index, torch.from_numpy(weight).float()


def _optimiser(fitted: Fitted) -> torch.optim.Optimizer:
    """AdamW; norms and biases do not decay."""
    decayed = [p for p in fitted.parameters() if p.ndim > 1]
    plain = [p for p in fitted.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98))


def _average(fitted: Fitted) -> Any:
    """Running average of weights and buffers."""
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    average_fn = get_ema_multi_avg_fn(_EMA_DECAY)  # type: ignore[no-untyped-call]
    return AveragedModel(fitted, multi_avg_fn=average_fn, use_buffers=True)


def _keep_best(
    fitted: Fitted, held_out: dict[str, Frames], whole: bool, best: Scores, save: Save
) -> Scores:
    found: Scores = {}
    for world, frames in held_out.items():
        accuracy, miou = scores(fitted, frames, whole, border=world == "rooms")
        found |= {f"{world}_pixel_accuracy": accuracy, f"{world}_miou": miou}
    say("held out: " + ", ".join(f"{key} {value:.4f}" for key, value in found.items()))
    # In stage 1 there are no queries to label with yet.
    if not whole or worst_accuracy(found) <= worst_accuracy(best):
        return best
    save(fitted, found)
    return found
