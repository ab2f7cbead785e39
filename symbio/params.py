"""params.yaml, typed: the truth of a run, checked before anything starts."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from symbio.errors import SymbioError
from symbio.section import Section, parse_section, read_yaml

DATASETS = ("nyu", "kitti")
"""Data sets of which symbio knows the official files; those of one's own are keys of `custom`."""
_CUSTOM = "custom"
_NAME = r"[a-z][a-z0-9_]{0,39}"
DatasetName = Annotated[str, StringConstraints(pattern=f"^{_NAME}$")]
"""Becomes part of file names, of an experiment's and of a registered model's name."""
_TAKEN = (*DATASETS, "tracking")
"""No names for a data set of one's own: `checkpoints/tracking` is a folder already."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Size = tuple[Annotated[int, Field(ge=32)], Annotated[int, Field(ge=32)]]


class SampleParams(Section):
    """The rendered sample: how many frames, and the seed that they are drawn from.

    The seed is the data set's own, so that trainings of several seeds see the same frames.
    """

    train: Count
    test: Count
    seed: Seed = 7


class DatasetParams(Section):
    """One data set: where the official files are and how frames are read and scored."""

    raw: str
    """Folder of the official files, relative to the project's root."""
    layout: Literal["auto", "labelled", "sync", "annotated", "custom"] = "auto"
    train_list: str | None = None
    """Split list, relative to `raw`; None takes the official file found there."""
    test_list: str | None = None
    depth: Literal["raw", "filled", "velodyne"] = "raw"
    """Depth of training frames. NYU: with the sensor's holes (raw), or filled in. KITTI: annotated
    maps (raw), or also laser scans (velodyne) where a frame has no map."""
    image_size: Size
    """Height and width (pixels) at which the network sees frames."""
    depth_range: tuple[Positive, Positive]
    """Smallest and largest depth, metres."""
    protocol: str
    val_share: Annotated[float, Field(ge=0.0, lt=1.0)]
    """Share of the training list held out, by whole scene or drive, to choose the model."""
    sample: SampleParams | None = None
    """Of nyu and kitti."""

    @model_validator(mode="after")
    def _range(self) -> Self:
        low, high = self.depth_range
        if low >= high:
            raise ValueError(f"depth_range needs low < high, found {low} and {high}")
        return self


class TeacherParams(Section):
    """The model that writes pseudo-labels."""

    model: str
    """`builtin:sample`, a short name (`oneformer-swin-large`, `mask2former-swin-large`,
    `segformer-b5`), a folder or hub name of a transformers segmentation model, or
    `folder:PATH` for labels that were written elsewhere."""
    min_confidence: Share
    """Pixels whose arg-max class is less probable become 255 (ignored)."""
    batch: Count
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: matrix products and convolutions in bfloat16; probabilities stay float32."""
    flip_average: bool = False
    image_size: Size | None = None
    """Height and width (pixels) that the teacher sees; None keeps its processor's own."""


class LabelsParams(Section):
    """Which of the teacher's labels training uses; without this section all of them, as they are.

    Validation and evaluation compare with all labels whatever stands here.
    """

    share: Share = 1.0
    """Of the training frames, those whose semantic labels are used; 0 trains depth alone."""
    noise: Share = 0.0
    """Share of the labelled regions (one class in one frame) that get another class."""
    min_confidence: Share = 0.0
    """Pixels of which the teacher was less sure are ignored."""
    space: Literal["ade20k", "nyu40", "nyu13", "cityscapes19"] = "ade20k"
    """The classes that the network predicts."""


class SymbiosisParams(Section):
    """Depth-Semantics Symbiosis: how the two branches attend to each other."""

    exchange: str = "both"
    """none, convolution, full, local, global, both, or a registered exchange of your own."""
    directions: Literal["both", "sgt", "dgt"] = "both"
    heads: Count = 4
    window: Count = 7
    mlp_ratio: Positive = 4.0


class ModelParams(Section):
    """The network."""

    encoder: str
    """A timm model with `features_only`."""
    pretrained: bool
    channels: Count
    output_stride: Literal[4] = 4
    symbiosis: SymbiosisParams
    depth_output: Literal["sigmoid", "log"]
    semantics: bool = True
    """False: depth only, no semantic branch at all."""

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.channels % self.symbiosis.heads:
            raise ValueError(
                f"channels ({self.channels}) must be divisible by symbiosis.heads "
                f"({self.symbiosis.heads})"
            )
        return self


class ThresholdParams(Section):
    """Where Near ends: uniform in metres, or a quantile of the pair's depths."""

    mode: Literal["metres", "quantile"]
    low: NotNegative
    high: NotNegative

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) must not exceed high ({self.high})")
        if self.mode == "quantile" and self.high > 1.0:
            raise ValueError(f"high ({self.high}) must be at most 1 when mode is quantile")
        return self


class MixParams(Section):
    """NearFarMix, or one of the mixes that it is compared with."""

    mix: str
    """nearfarmix, cutmix, classmix, depthmix, random, none, or a registered mix of your own."""
    probability: Share
    threshold: ThresholdParams
    overlap: Literal["nearest", "first", "blend"]
    blend_alpha: Share
    guide_reach_px: Annotated[int, Field(ge=0, le=127)]
    """How far (pixels) a sparse map's measured depth reaches when regions are cut."""


class CutDepthParams(Section):
    """CutDepth: a rectangle of the image is replaced by its depth, drawn in grey."""

    probability: Share
    extent: Annotated[float, Field(gt=0.0, le=1.0)] = 0.75
    """The paper's p: how far the rectangle may reach towards the far edges."""
    white_m: Positive
    """Depth (metres) that is drawn white; nearer is darker in proportion, 0 m black."""


class AugmentParams(Section):
    """Augmentation of training frames, on the device."""

    flip: Share
    """Probability of a horizontal flip."""
    colour: Share
    """Probability of gamma, brightness and per-channel colour changes."""
    brightness: tuple[Positive, Positive]
    crop: Size | None = None
    """Height and width (pixels) of a random crop; None trains on the whole frame."""
    rotation: Annotated[float, Field(ge=0.0, le=45.0)] = 0.0
    """Largest angle (degrees) by which frames are turned, either way; 0 turns none."""
    cutdepth: CutDepthParams | None = None
    """None leaves it out."""


class SelectParams(Section):
    """The rule that chooses the exported model, on the val split."""

    metric: str


class TrainParams(Section):
    """The training run."""

    steps: Count
    """Optimiser steps."""
    batch: Count
    """Global batch: frames a step over all ranks."""
    micro_batch: Count
    """Frames of one forward on one rank; the rest is gradient accumulation."""
    lr: Positive
    weight_decay: NotNegative
    schedule: Literal["onecycle", "cosine"]
    warmup_share: Share
    clip_norm: Positive
    precision: Literal["fp32", "bf16"]
    zero_stage: Annotated[int, Field(ge=0, le=3)]
    ema_decay: Annotated[float, Field(ge=0.0, lt=1.0)]
    """Decay of the averaged weights; 0 switches them off."""
    semantic_weight: NotNegative
    class_balance: Share
    """Exponent of the inverse class frequency in the cross-entropy: 0 none, 1 full."""
    variance_focus: Share
    silog_scale: Positive
    checkpoint_every: Count
    keep_checkpoints: Count
    validate_every: Count
    select: SelectParams
    max_bad_steps: Count
    """Non-finite steps in a row after which the run stops."""
    augment: AugmentParams

    @model_validator(mode="after")
    def _micro_divides(self) -> Self:
        if self.batch % self.micro_batch:
            raise ValueError(
                f"batch ({self.batch}) must be a multiple of micro_batch ({self.micro_batch})"
            )
        return self


Scalar = str | int | Finite | bool | None


class DimensionParams(Section):
    """The values that a search may give one parameter."""

    type: Literal["float", "int", "categorical"]
    low: int | Finite | None = None
    high: int | Finite | None = None
    """Both ends belong to the range."""
    log: bool = False
    """Draw evenly in the logarithm."""
    step: int | Finite | None = None
    choices: tuple[Scalar, ...] = ()
    """Of a categorical parameter."""
    when: dict[str, Annotated[tuple[Scalar, ...], Field(min_length=1)]] = Field(
        default_factory=dict
    )
    """Dotted key of another parameter -> values of it with which this one is drawn at all.
    Elsewhere it keeps its own value."""

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        numbers = [number for number in (self.low, self.high, self.step) if number is not None]
        if self.type == "categorical":
            if not self.choices or numbers or self.log:
                raise ValueError("a categorical parameter needs choices, and nothing else")
            # To Optuna, too, 1, 1.0 and true are one choice.
            if len(set(self.choices)) < len(self.choices):
                raise ValueError(f"a choice appears twice in {list(self.choices)}")
            return self
        if self.low is None or self.high is None or self.choices:
            raise ValueError(f"type {self.type} needs low and high, and takes no choices")
        if self.low >= self.high:
            raise ValueError(f"the range is empty: low ({self.low}) is not below {self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log needs low above 0, and no step")
        if self.type == "int" and not all(isinstance(number, int) for number in numbers):
            raise ValueError("type int needs whole numbers")
        if self.step is not None:
            if self.step <= 0:
                raise ValueError(f"step ({self.step}) must be above 0")
            # As decimal numbers, which is how they were written: 0.8 is 8 x 0.1.
            if (Decimal(str(self.high)) - Decimal(str(self.low))) % Decimal(str(self.step)):
                raise ValueError(
                    f"high ({self.high}) is no whole number of steps ({self.step}) above low "
                    f"({self.low})"
                )
        return self


class SearchParams(Section):
    """`symbio search`: which trainings are tried, and by what they are compared."""

    trials: Count = 16
    """Trainings in all, the one with the project's own params and those of an interrupted search
    included."""
    hours: Positive | None = None
    """Hours of training over all trials after which no new one starts, if `trials` have not all
    started before; None: no such limit."""
    objectives: Annotated[tuple[str, ...], Field(min_length=1)] = ("abs_rel",)
    """Scores of the exported network on the val split; the test split is never looked at. One is
    optimised; of several the trials that none beats in all of them are sought (a Pareto front)."""
    sampler: Literal["tpe", "cmaes", "qmc", "grid", "random"] = "tpe"
    """Who draws the next trial from the space (`symbio.search.samplers`)."""
    pruner: Literal["median", "asha", "hyperband", "none"] = "asha"
    """Who ends trainings that fall behind (`symbio.search.pruners`)."""
    base: dict[str, Any] = Field(default_factory=dict)
    """Dotted key -> value, of all trials: trainings that are shorter or smaller. No part of what
    is found."""
    on: dict[DatasetName, dict[str, Any]] = Field(default_factory=dict)
    """Additions to `base` on one data set."""
    space: dict[str, DimensionParams] = Field(default_factory=dict)
    """Dotted key of a parameter -> what it may be."""

    @model_validator(mode="after")
    def _comparable(self) -> Self:
        if len(set(self.objectives)) < len(self.objectives):
            raise ValueError(f"an objective appears twice in {list(self.objectives)}")
        if len(self.objectives) > 1 and self.pruner != "none":
            raise ValueError(
                f"pruner {self.pruner!r} compares trials by one score, but there are "
                f"{len(self.objectives)} objectives; give pruner: none"
            )
        return self


class SuiteOnParams(Section):
    """What an ablation adds on one data set."""

    base: dict[str, Any] = Field(default_factory=dict)
    variants: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Keys for a variant of the suite, or a variant that only this data set has."""


class SuiteParams(Section):
    """An ablation: named variants of these params, each trained with every seed."""

    baseline: str | None = None
    """The variant that the others are compared with; None: the first."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    base: dict[str, Any] = Field(default_factory=dict)
    """Dotted key -> value, of all variants: trainings that are shorter or smaller."""
    variants: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]
    """Name -> dotted key of a parameter -> value."""
    on: dict[DatasetName, SuiteOnParams] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"a seed appears twice in seeds {list(self.seeds)}")
        return self

    @model_validator(mode="after")
    def _has_baseline(self) -> Self:
        if self.baseline is not None and self.baseline not in self.variants:
            raise ValueError(
                f"baseline {self.baseline!r} is no variant; there are {', '.join(self.variants)}"
            )
        return self

    def on_dataset(self, name: DatasetName) -> SuiteOnParams:
        """What is added on one data set; nothing where the suite names no such additions."""
        return self.on.get(name, SuiteOnParams())


MetricName = Literal[
    "abs_rel", "sq_rel", "rmse", "rmse_log", "log10", "silog",
    "d1", "d2", "d3", "official_silog", "official_sq_rel", "irmse",
    "truth_miou", "truth_miou_reachable", "truth_pixel_accuracy", "truth_mean_accuracy",
]  # fmt: skip
"""Scores of metrics/{d}.json against ground truth; those against a teacher change with it."""


class PromoteParams(Section):
    """When a version becomes the champion (`symbio.promote.rule`)."""

    metric: MetricName
    """Must be better than the champion's."""
    min_gain: NotNegative
    """By at least this share of the champion's value."""
    no_loss_beyond: dict[MetricName, NotNegative]
    """Other metrics, and by which share of the champion's value each may be worse."""

    @model_validator(mode="after")
    def _others(self) -> Self:
        if self.metric in self.no_loss_beyond:
            raise ValueError(f"no_loss_beyond must not name metric ({self.metric}) itself")
        return self


class Params(Section):
    """params.yaml as a whole."""

    seed: Seed
    nyu: DatasetParams
    kitti: DatasetParams
    custom: dict[DatasetName, DatasetParams] = Field(default_factory=dict)
    """Data sets of one's own, by name (docs/custom-data.md)."""
    teacher: TeacherParams
    labels: LabelsParams = LabelsParams()
    model: ModelParams
    nearfarmix: MixParams
    train: TrainParams
    promote: PromoteParams
    search: SearchParams = SearchParams()
    ablations: dict[str, SuiteParams] = Field(default_factory=dict)
    """By the suite's name."""

    @model_validator(mode="after")
    def _own_data_sets(self) -> Self:
        for name, section in self.custom.items():
            at = f"{_CUSTOM}.{name}"
            if name in _TAKEN:
                raise ValueError(f"{at}: the name is taken; give another one")
            if section.layout not in ("auto", "custom"):
                raise ValueError(f"{at}.layout: {section.layout!r} was found, allowed: custom")
            told = {"sample": section.sample, "train_list": section.train_list}
            told |= {"test_list": section.test_list, "depth": section.depth}
            for key, value in told.items():
                if value not in (None, "raw"):
                    raise ValueError(
                        f"{at}.{key}: is of nyu and kitti only (found {value!r}); what files a "
                        "data set of one's own has stands in its dataset.yaml"
                    )
        return self

    @model_validator(mode="after")
    def _additions_are_of_data_sets(self) -> Self:
        named = {f"ablations.{name}.on": list(suite.on) for name, suite in self.ablations.items()}
        for at, names in {"search.on": list(self.search.on), **named}.items():
            for name in names:
                if name not in self.datasets:
                    known = " or ".join(map(repr, self.datasets))
                    raise ValueError(f"{at}.{name}: no data set of that name; expected {known}")
        return self

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of all data sets: nyu, kitti and the keys of `custom`."""
        return (*DATASETS, *self.custom)

    def dataset(self, name: str) -> DatasetParams:
        """The section of one data set.

        Raises:
            SymbioError: there is no such data set.
        """
        if name not in self.datasets:
            raise SymbioError(f"no data set {name!r}; there are {', '.join(self.datasets)}")
        section: DatasetParams = self.custom.get(name) or getattr(self, name)
        return section


def section_key(dataset: str) -> str:
    """Where a data set's section is in params.yaml, as a dotted key."""
    return dataset if dataset in DATASETS else f"{_CUSTOM}.{dataset}"


def section_in(values: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """A data set's section in the values of a params file; empty where it has none."""
    place = values if dataset in DATASETS else values.get(_CUSTOM) or {}
    return dict(place.get(dataset) or {})


def dataset_names(root: Path = Path(".")) -> tuple[str, ...]:
    """Names of the data sets of the project at `root`, also where its params do not hold.

    Those of nyu and kitti, whose results may lie there, and the keys of `custom`.
    """
    try:
        values = read_yaml(root / "params.yaml", "")
    except SymbioError:
        return DATASETS
    custom = values.get(_CUSTOM) if isinstance(values, dict) else None
    names = [str(name) for name in custom] if isinstance(custom, dict) else []
    return (*DATASETS, *(name for name in names if re.fullmatch(_NAME, name)))


def dataset_argument(text: str) -> str:
    """A data set named on a command line, for argparse. Raises ArgumentTypeError."""
    names = dataset_names()
    if text not in names:
        raise ArgumentTypeError(f"no data set {text!r}; there are {', '.join(names)}")
    return text


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check a params file.

    Raises:
        SymbioError: the file is missing, is no YAML, or a key is unknown, mistyped or out of
            range; the message names every such key, the value found and what is allowed.
    """
    hint = "run inside a symbio project, or write one with `symbio preset sample`"
    return parse_params(read_yaml(path, hint), str(path))


def parse_params(values: Any, source: str) -> Params:
    """Check parsed YAML; `source` names it in messages. Raises SymbioError."""
    return parse_section(Params, values, source)
