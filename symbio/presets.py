"""The presets that ship: whole params files."""

from __future__ import annotations

from pathlib import Path

from symbio.files import whole_file
from symbio.params import DATASETS, load_params
from symbio.progress import say

PRESETS = Path(__file__).with_name("presets")


def write_preset(name: str, path: Path) -> None:
    """Write preset `name` (a file of `presets/`) to `path`; git and DVC see the change.

    Folders of official files that it names are made where they are missing, empty.
    """
    source = PRESETS / f"{name}.yaml"
    params = load_params(source)
    with whole_file(path) as aside:
        aside.write_bytes(source.read_bytes())
    say(f"{path}: preset {name}; `dvc status` says what has to run again")
    for dataset in DATASETS:
        raw = path.parent / params.dataset(dataset).raw
        if "sample" not in raw.parts and not raw.exists():
            # DVC refuses a stage without its input before the stage can say what belongs there.
            raw.mkdir(parents=True)
            say(f"{raw}: made, empty; `symbio check {dataset}` says what belongs there")
