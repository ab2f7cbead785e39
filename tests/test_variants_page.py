"""docs/variants.md, followed to the letter in a copy of the code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.train.project import make_project, tiny_params

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"
PLACES = {
    "backdrop.py": "symbio/data/mixing/backdrop.py",
    "gated.py": "symbio/model/exchanges/gated.py",
}


def test_the_page_shows_the_files() -> None:
    page = (ROOT / "docs" / "variants.md").read_text(encoding="utf-8")
    for path in sorted(EXAMPLES.iterdir()):
        assert path.read_text(encoding="utf-8") in page, path.name
    for place in PLACES.values():
        assert f"`{place}`" in page


@pytest.mark.slow
def test_a_mix_and_an_exchange_of_ones_own_train(tmp_path: Path) -> None:
    for folder in ("symbio", "tests"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, place in PLACES.items():
        shutil.copy(EXAMPLES / name, tmp_path / place)
        run(tmp_path, "git", "apply", str(EXAMPLES / f"{Path(name).stem}.diff"))
    tests = ["tests/model/test_network.py", "tests/model/test_symbiosis.py"]
    tests += ["tests/data/test_mixing_others.py", "tests/data/test_mixing_apply.py"]
    names = ("-k", "backdrop or gated", "-q", "-p", "no:randomly", "-p", "no:cacheprovider")
    said = run(tmp_path, sys.executable, "-m", "pytest", *tests, *names)
    assert " passed" in said

    project = make_project(tmp_path / "project")
    values = tiny_params().model_dump(mode="json", exclude_unset=True)
    values["ablations"] = yaml.safe_load((EXAMPLES / "suites.yaml").read_text())
    (project / "params.yaml").write_text(yaml.safe_dump(values))
    script = tmp_path / "train_both.py"
    script.write_text(TRAIN_BOTH)
    said = run(project, sys.executable, str(script))
    assert said.splitlines()[-1] == "backdrop gated finished"


TRAIN_BOTH = """
from pathlib import Path

from symbio.params import load_params
from symbio.ranks.settings import Settings
from symbio.search.check import check
from symbio.search.plan import ablation_plan
from symbio.train.run import run

params, root, one = load_params(), Path(), Settings(ranks=1)
mix, exchange = (ablation_plan(params, "nyu", suite) for suite in ("my-mix", "my-exchange"))
check(mix, root, one)
check(exchange, root, one)
changes = {**mix.variants["backdrop"], **exchange.variants["gated"]}
mixed = mix.params_of({**changes, "nearfarmix.probability": 1.0, "train.steps": 2}, "both")
summary = run(mixed, "nyu", root, one, "auto", lambda record: None)
assert Path(summary["model"], "weights.safetensors").is_file()
print(mixed.nearfarmix.mix, mixed.model.symbiosis.exchange, summary["state"])
"""


def run(folder: Path, *command: str) -> str:
    """What the command says, with the copied code first on the path."""
    environment = {**os.environ, "PYTHONPATH": str(find_code(folder)), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240
    )
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
    return ended.stdout


def find_code(folder: Path) -> Path:
    """The folder, or the one above, that has the package."""
    return folder if (folder / "symbio").is_dir() else folder.parent
