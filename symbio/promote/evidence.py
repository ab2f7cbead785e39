"""A decision as a page that reads itself in MLflow's artifact view (Markdown)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_MEASURED = ("dataset", "split", "protocol", "aggregation", "num_images", "label_space")
_HASHES = ("split_sha256", "data_sha256", "weights_sha256")


def evidence(decision: Mapping[str, Any]) -> str:
    """The page of a decision, as `symbio.promote.run.run` returns one."""
    parts = [
        f"# {decision['uri']}: {decision['verdict']}",
        f"{decision['time']}. Champion before: {_version(decision['champion_before'])}; "
        f"after: {_version(decision['champion'])}.",
        "\n".join(f"* {_cell(reason)}" for reason in decision["reasons"]),
    ]
    if "metric" in decision:
        parts += _numbers(decision)
    return "\n\n".join(parts) + "\n"


def _numbers(decision: Mapping[str, Any]) -> list[str]:
    rows = [
        [one["metric"], one["candidate"], one["reference"], _share(one), one["bound"], one["holds"]]
        for one in (decision["metric"], *decision["guards"])
    ]
    against = "champion" if decision["champion_measured"] else "constant predictor"
    parts = [
        "## Values",
        _table(["metric", "candidate", against, "gain", "bound (share)", "holds"], rows),
    ]
    interval, seeds = decision["interval"], decision["seeds"]
    if isinstance(interval, Mapping):
        parts += [
            "## Is it more than the luck of the frames?",
            f"Gain {interval['gain']:.6g}, {interval['level']:.0%} interval {interval['low']:.6g} "
            f"to {interval['high']:.6g}: paired bootstrap over {interval['num_frames']} frames, "
            f"{interval['resamples']} resamples, seed {interval['seed']}.",
        ]
    if isinstance(seeds, Mapping):
        parts += [
            "## Is it more than the luck of the seed?",
            f"Gain of the means {seeds['gain']:.6g}, {seeds['level']:.0%} interval "
            f"{seeds['low']:.6g} to {seeds['high']:.6g} (Student, {seeds['freedom']:.3g} degrees "
            f"of freedom); scatter {seeds['spread']}.",
            _table(
                [
                    "configuration of the",
                    "n",
                    "mean",
                    "standard deviation",
                    "seeds (version: value)",
                ],
                [[who, *_group(seeds[who])] for who in ("candidate", "champion")],
            ),
        ]
    measured = [decision["measured"], decision["champion_measured"] or {}]
    shown = [key for key in (*_MEASURED, *_HASHES, "run_id") if key in measured[0]]
    rows = [[key, *(one.get(key) for one in measured)] for key in shown]
    rule = [[key, value] for key, value in sorted(decision["rule"].items())]
    parts += ["## Measured", _table(["", "candidate", "champion"], rows)]
    return [*parts, "## Rule (promote in params.yaml)", _table(["parameter", "value"], rule)]


def _group(group: Mapping[str, Any]) -> list[Any]:
    members = zip(group["seeds"], group["versions"], group["values"], strict=True)
    listed = ", ".join(f"{seed} ({version}: {value:.6g})" for seed, version, value in members)
    return [len(group["seeds"]), group["mean"], group["std"], listed]


def _share(one: Mapping[str, Any]) -> str:
    return "" if one["relative_gain"] is None else f"{one['relative_gain']:+.2%}"


def _version(number: str | None) -> str:
    return "none" if number is None else f"version {number}"


def _table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [headers, ["---"] * len(headers), *([_cell(one) for one in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    """One line, in which nothing is read as markup of a table or of HTML."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    for sign, instead in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|"), ("\n", " ")):
        text = text.replace(sign, instead)
    return text
