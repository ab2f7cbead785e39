"""The model card: what a model is, how good it is, and what it must not be used for (Markdown)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symbio.data.classes import ClassSpace
from symbio.model.saved import spoken

_BETTER = {
    "abs_rel": "lower", "sq_rel": "lower", "rmse": "lower", "rmse_log": "lower", "silog": "lower",
    "log10": "lower", "d1": "higher", "d2": "higher", "d3": "higher", "truth_miou": "higher",
    "truth_pixel_accuracy": "higher", "pseudo_miou": "higher", "pseudo_pixel_accuracy": "higher",
}  # fmt: skip
_SPACES = {"ade20k": "ADE20K", "nyu40": "NYU40", "nyu13": "NYU13", "cityscapes19": "Cityscapes"}
_TERMS = {
    "nyu": "NYU Depth V2 is offered for research; see its authors' page before any other use.",
    "kitti": "KITTI is CC BY-NC-SA 3.0: not for commercial use, share alike.",
}
_PREDICTORS = ("trained", "constant", "untrained")


def model_card(
    name: str, card: Mapping[str, Any], metrics: Mapping[str, Any], lineage: Mapping[str, str]
) -> str:
    """The card of a registered model.

    Args:
        name: of the registered model.
        card: model.json.
        metrics: metrics/{d}.json, which has at least `trained`, `protocol` and `num_images`.
        lineage: tags of the run that trained it.
    """
    parts = [
        f"# {name}",
        _what(card),
        "## Scores",
        f"Protocol `{metrics['protocol']}` on {metrics['num_images']} images of the "
        f"{metrics.get('split', 'test')} split. `constant`: the best single depth and class, "
        "chosen on these very images; `untrained`: the same network with random weights.",
        scores_table(metrics),
        "## Data",
        _data(card),
        _bullets({k: v for k, v in lineage.items() if k.startswith("symbio.data.")}),
        "## Limits",
        _limits(card),
        "## Use",
        _use(name, card),
        "## Where it comes from",
        _bullets({k: v for k, v in lineage.items() if not k.startswith("symbio.data.")}),
        f"Weights: SHA-256 `{card['weights_sha256']}`.",
        "## Terms",
        _terms(card),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def summary(card: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Two lines for the registry's list."""
    scores = ", ".join(f"{key} {value:.4g}" for key, value in _scores(metrics, "trained").items())
    return f"{_what(card)}\n\n{metrics['protocol']}, {metrics['num_images']} images: {scores}"


def scores_table(metrics: Mapping[str, Any]) -> str:
    """Trained network and what it is compared with, one metric a row."""
    shown = [one for one in _PREDICTORS if isinstance(metrics.get(one), Mapping)]
    scores = {one: _scores(metrics, one) for one in shown}
    lines = [
        "| metric | better | " + " | ".join(shown) + " |",
        "|---|---|" + "---|" * len(shown),
    ]
    for key in scores["trained"]:
        cells = [_cell(scores[one].get(key)) for one in shown]
        lines.append(f"| {key} | {_BETTER.get(key, '')} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _scores(metrics: Mapping[str, Any], predictor: str) -> dict[str, float]:
    return {
        key: float(value)
        for key, value in metrics[predictor].items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _what(card: Mapping[str, Any]) -> str:
    model = card["model"]
    height, width = card["image_size"]
    space = spoken(card)
    what = "Depth" if space is None else f"Depth and {len(space.names)} {_titled(space)} classes"
    exchange = model["symbiosis"]["exchange"]
    return (
        f"{what} from one image. Encoder {model['encoder']}, symbiosis {exchange}, "
        f"{card['parameters'] / 1e6:.2f} M parameters, trained at {width}x{height} pixels."
    )


def _data(card: Mapping[str, Any]) -> str:
    space = spoken(card)
    classes = ""
    if space is not None:
        teacher = "from a teacher network (pseudo-labels, not ground truth)"
        classes = f" and {_titled(space)} classes {teacher}"
    return f"Trained on `{card['dataset']}` with depth of that data set{classes}."


def _titled(space: ClassSpace) -> str:
    return _SPACES.get(space.name, space.name)


def _limits(card: Mapping[str, Any]) -> str:
    low, high = card["depth_range"]
    learnt = "* Classes were learnt from another network's labels, its mistakes included.\n"
    height, width = card["image_size"]
    return (
        f"* Depth lies between {low:g} and {high:g} m by construction: nothing else is ever said.\n"
        "* Depth is metric for cameras with the field of view of the training pictures only; "
        "with other lenses it is off by a factor.\n"
        f"* Pictures are brought to {width}x{height} pixels: details smaller than a few of "
        "those pixels are lost, and other shapes are stretched.\n"
        f"{'' if spoken(card) is None else learnt}"
        "* Scores hold for the images of this protocol. Other scenes, weather, night and "
        "reflecting or transparent surfaces were not measured.\n"
        "* Not for decisions about safety."
    )


def _use(name: str, card: Mapping[str, Any]) -> str:
    space = spoken(card)
    use = (
        f"```\nsymbio predict models:/{name}@candidate PICTURE... --out predictions\n"
        f'mlflow models serve -m "models:/{name}@candidate" --env-manager local\n```\n\n'
        "```python\nimport mlflow\n"
        f'model = mlflow.pyfunc.load_model("models:/{name}@candidate")\n'
        "out = model.predict(images)  # uint8 (B, H, W, 3), RGB\n"
        'out["depth"]  # metres (B, H, W)\n'
    )
    if space is None:
        return f"{use}```"
    numbered = ", ".join(f"{number} {label}" for number, label in enumerate(space.names))
    return (
        f'{use}out["semantic"]  # class 0..{len(space.names) - 1} (B, H, W)\n```\n\n'
        f"The classes: {numbered}."
    )


def _terms(card: Mapping[str, Any]) -> str:
    pretrained = (
        f" The encoder began from timm's `{card['model']['encoder']}` weights, which have terms of "
        "their own."
        if card["model"].get("pretrained")
        else ""
    )
    data = _TERMS.get(str(card["dataset"]), "See the data set's own terms.")
    return (
        f"{data} That holds for weights trained on the official files; a model of the rendered "
        f"sample carries no such terms.{pretrained}"
    )


def _bullets(values: Mapping[str, str]) -> str:
    return "\n".join(f"* {key}: `{value}`" for key, value in sorted(values.items()))
