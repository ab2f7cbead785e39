"""The parameters that flows share: as Prefect's form shows them, and on a command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import yaml
from pydantic import GetJsonSchemaHandler, PositiveInt
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from symbio.params import dataset_argument, dataset_names
from symbio.presets import PRESETS


@dataclass(frozen=True, slots=True)
class Described:
    """Explains a type in Prefect's form; Prefect drops the description of a pydantic Field."""

    text: str

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "description": self.text}


@dataclass(frozen=True, slots=True)
class Choice:
    """Lets Prefect's form offer what is known when the flow is deployed."""

    values: tuple[str, ...]

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "enum": list(self.values)}


Dataset = Annotated[str, Choice(dataset_names()), Described("The data set.")]
Preset = Annotated[
    Literal["sample", "paper"] | None,
    Described("A whole params file that ships; none: params.yaml of the checkout."),
]
Overrides = Annotated[
    dict[str, Any] | None,
    Described(
        'Other values for keys of params.yaml: {"nearfarmix.probability": 0.5}. '
        "The run then works in a worktree of its own, below workspaces/."
    ),
]
Ranks = Annotated[
    PositiveInt | None, Described("Processes on each host; none: one a GPU, or two on a CPU.")
]
StudyName = Annotated[
    str | None,
    Described("Name of the study; none: the data set's, and the suite's. The same name goes on."),
]
Workers = Annotated[
    PositiveInt | None, Described("Trainings side by side on this machine; none: one.")
]
Hosts = Annotated[
    list[str] | None,
    Described("Hosts to train on, reached by ssh; none: infra/hosts, else the worker's."),
]


def parsed(description: str, arguments: Sequence[str]) -> dict[str, Any]:
    """A command line as a flow's parameters: dataset, preset, overrides.

    Ends the process with code 2 on a mistake, as argparse does.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("dataset", type=dataset_argument)
    presets = sorted(path.stem for path in PRESETS.glob("*.yaml"))
    parser.add_argument("--preset", choices=presets, help="a whole params file that ships")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
        help="another value for a key of params.yaml, as YAML; may be repeated",
    )  # fmt: skip
    chosen = vars(parser.parse_args(arguments))
    for text in chosen["overrides"]:
        if "=" not in text:
            parser.error(f"--set {text}: give KEY=VALUE")
    pairs = [text.partition("=") for text in chosen["overrides"]]
    return {**chosen, "overrides": {key: yaml.safe_load(value) for key, _, value in pairs}}
