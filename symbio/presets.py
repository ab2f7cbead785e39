"""The presets that ship: whole params files."""

from __future__ import annotations

from pathlib import Path

from symbio.files import whole_file
from symbio.params import load_params
from symbio.progress import say

PRESETS = Path(__file__).with_name("presets")


def write_preset(name: str, path: Path) -> None:
    """Write preset `name` (a file of `presets/`) to `path`; git and DVC see the change."""
    source = PRESETS / f"{name}.yaml"
    load_params(source)
    with whole_file(path) as aside:
        aside.write_bytes(source.read_bytes())
    say(f"{path}: preset {name}; `dvc status` says what has to run again")
