"""The model card of a fitted teacher."""

from __future__ import annotations

from typing import Any

_TEXT = """# A small {name} teacher for symbio's sample

{parameters:,} parameters, half precision, 150 ADE20K classes (those of the sample are trained),
made by

{commands}

from random weights, on rendered rooms and streets of a random stream of their own: no frame of
the sample's data sets was seen. Frames are seen at a quarter of the data sets' size.

| {held_out_per_world} held-out frames of each world, at a quarter size | pixel accuracy | mIoU |
|---|---|---|
| rooms | {rooms_accuracy:.3f} | {rooms_miou:.3f} |
| streets | {streets_accuracy:.3f} | {streets_miou:.3f} |

It knows the renderer's world only and is of no use on photographs: for those, set `teacher.model`
to one of the published OneFormers, such as `shi-labs/oneformer_ade20k_swin_large`.
"""


def card(facts: dict[str, Any]) -> str:
    """README.md of a fitted teacher, from the facts in its fit.json."""
    held_out = facts["held_out"]
    return _TEXT.format(
        name={"oneformer": "OneFormer", "segformer": "SegFormer"}[facts["architecture"]],
        commands="\n".join(_commands(facts)),
        rooms_accuracy=held_out["rooms_pixel_accuracy"],
        rooms_miou=held_out["rooms_miou"],
        streets_accuracy=held_out["streets_pixel_accuracy"],
        streets_miou=held_out["streets_miou"],
        **facts,
    )


def _commands(facts: dict[str, Any]) -> list[str]:
    """The command that made the weights, after those that made what it started from."""
    earlier = facts.get("earlier")
    start = " --start-from <this folder>" if earlier else ""
    command = (
        "    python -m symbio.label.fit --out <this folder> --architecture "
        f"{facts['architecture']} \\\n        --minutes {facts['minutes']:g} "
        f"--frames {facts['frames_per_world']} --seed {facts['seed']}{start}"
    )
    return [*(_commands(earlier) if earlier else []), command]
