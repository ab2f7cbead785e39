"""params.yaml as a whole, and whose section is where in it."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from symbio.errors import SymbioError
from symbio.params.data import DatasetParams, LabelsParams, TeacherParams
from symbio.params.names import CUSTOM, DATASETS, NAME, TAKEN, DatasetName
from symbio.params.numbers import Seed
from symbio.params.section import Section, parse_section, read_yaml
from symbio.params.studies import PromoteParams, SearchParams, SuiteParams
from symbio.params.training import MixParams, ModelParams, TrainParams


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
            at = f"{CUSTOM}.{name}"
            if name in TAKEN:
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
    return dataset if dataset in DATASETS else f"{CUSTOM}.{dataset}"


def section_in(values: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """A data set's section in the values of a params file; empty where it has none."""
    place = values if dataset in DATASETS else values.get(CUSTOM) or {}
    return dict(place.get(dataset) or {})


def dataset_names(root: Path = Path(".")) -> tuple[str, ...]:
    """Names of the data sets of the project at `root`, also where its params do not hold.

    Those of nyu and kitti, whose results may lie there, and the keys of `custom`.
    """
    try:
        values = read_yaml(root / "params.yaml", "")
    except SymbioError:
        return DATASETS
    custom = values.get(CUSTOM) if isinstance(values, dict) else None
    names = [str(name) for name in custom] if isinstance(custom, dict) else []
    return (*DATASETS, *(name for name in names if re.fullmatch(NAME, name)))


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
