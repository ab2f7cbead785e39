"""Many trainings: searches, ablations, and when a version becomes the champion."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from symbio.params.names import DatasetName
from symbio.params.numbers import Count, Finite, NotNegative, Positive, Seed
from symbio.params.section import Section

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
