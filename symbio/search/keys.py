"""Parameters by their dotted keys: which of them a trial may change, and params with changes."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from symbio.errors import SymbioError
from symbio.files import whole_file
from symbio.params import DatasetParams, Params, parse_params, section_key
from symbio.params.section import Section


def check_key(key: str, dataset: str, source: str) -> None:
    """Check that a trial on `dataset` may change `key`; `source` says where the key stands.

    Raises:
        SymbioError: the key names no parameter, or one that no training reads.
    """
    known = [*_parameters(Params), *_parameters(DatasetParams, f"{section_key(dataset)}.")]
    trained = [name for name in known if _is_trained(name, dataset)]
    if key in trained:
        return
    if key in known:
        raise SymbioError(
            f"{source}: no trial can change {key}, since all trials train on the same prepared "
            "frames and labels and are scored alike; give a key of model, nearfarmix, labels or "
            f"train, {section_key(dataset)}.image_size or {section_key(dataset)}.depth_range"
        )
    near = difflib.get_close_matches(key, trained, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise SymbioError(f"{source}: {key} names no parameter{hint}")


def value_at(params: Params, key: str) -> Any:
    """The value of a parameter. Raises SymbioError if `key` names none."""
    own = (name for one in params.custom for name in _parameters(DatasetParams, f"custom.{one}."))
    if key not in _parameters(Params) and key not in own:
        raise SymbioError(f"{key} names no parameter")
    value: Any = params
    for name in key.split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value


def changed(params: Params, changes: Mapping[str, Any], source: str) -> Params:
    """`params` with other values at dotted keys; `source` names the changes in messages.

    Raises:
        SymbioError: the params refuse a value, or values contradict each other.
    """
    values = _written(params)
    for key, value in changes.items():
        *sections, name = key.split(".")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value
    return parse_params(values, source)


def write_params(params: Params, path: Path, title: str) -> None:
    """Write a whole params file with a comment on top.

    What the user left to its default stays left out: DVC would take it for a change.
    """
    text = yaml.safe_dump(_written(params), sort_keys=False, default_flow_style=None)
    with whole_file(path) as aside:
        aside.write_text(f"# {title}\n{text}", encoding="utf-8")


def _written(params: Params) -> dict[str, Any]:
    return params.model_dump(mode="json", exclude_unset=True)


def _parameters(section: type[Section], prefix: str = "") -> Iterator[str]:
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from _parameters(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _is_trained(key: str, dataset: str) -> bool:
    section = section_key(dataset)
    own = (f"{section}.image_size", f"{section}.depth_range", "seed")
    return key in own or key.startswith(("labels.", "model.", "nearfarmix.", "train."))
