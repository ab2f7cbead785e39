"""A project whose stages take milliseconds: its own `symbio` reads params and inputs, writes files.

Only what a reproduction relies on is like the real one: verbs, paths, dvc.yaml, params.yaml, the
journal of a training, and what the tracking store holds of a registered version.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from symbio.params import load_params
from symbio.tracking.models import Version, version_at
from symbio.tracking.scores import metrics_sha256, scores_folder
from symbio.tracking.store import experiment_id, open_store
from tests.embedded_store import put_store
from tests.project import run

ROOT = Path(__file__).resolve().parents[2]
URI = "models:/symbio-nyu/1"
STOP_ONCE = "stop-once"
"""A file with this name in a checkout lets its next stage end as one that was told to stop."""

_STAGES = """
import hashlib, json, pathlib, sys
import numpy as np, yaml
from safetensors.numpy import load_file, save_file

stage, name = sys.argv[1:]
params = yaml.safe_load(open("params.yaml"))
with open("ran.txt", "a") as log:
    log.write(stage + "\\n")
stop = pathlib.Path("stop-once")
if stop.exists():
    stop.unlink()
    sys.exit(75)

def digest(folder, *values):
    hashed = hashlib.sha256(repr(values).encode())
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path.suffix not in (".html", ".png"):
            hashed.update(path.read_bytes() if path.is_file() else b"")
    return hashed.hexdigest()

def write(folder, **files):
    folder = pathlib.Path(folder, name)
    (folder / "part").mkdir(parents=True, exist_ok=True)
    for key, text in files.items():
        (folder / key.replace("_", ".").replace("..", "/")).write_text(text)

if stage == "sample":
    write("data/sample", a_mat=digest("none", params[name]["sample"]), part__b_mat="b")
elif stage == "prepare":
    content = digest(params[name]["raw"])
    write("data/prepared", index_json=content, part__train_tar=content * 9, report_html=content)
elif stage == "label":
    content = digest(f"data/prepared/{name}", params["teacher"]["min_confidence"])
    write("data/pseudo", index_json="{}", part__train_tar=content * 9)
elif stage == "train":
    seed = int(digest(f"data/pseudo/{name}", params["seed"])[:8], 16)
    draw, lr = np.random.default_rng(seed), params["train"]["lr"]
    weights = {"bias": draw.random(3), "weight": draw.random((2, 2)) * (1 + lr)}
    write("models", model_json=json.dumps({"seed": seed}))
    save_file(weights, f"models/{name}/weights.safetensors")
    run = pathlib.Path("checkpoints", name)
    run.mkdir(parents=True, exist_ok=True)
    losses = [2.0, 1.5 + lr, 1.25 + lr]
    lines = [{"event": "start", "run": "r", "from_step": 0}]
    lines += [{"step": n + 1, "metrics": {"train/loss": one}} for n, one in enumerate(losses)]
    (run / "journal.jsonl").write_text("".join(json.dumps(one) + "\\n" for one in lines))
elif stage == "evaluate":
    weights = load_file(f"models/{name}/weights.safetensors")
    scores = {"abs_rel": float(weights["weight"].mean()), "num_images": 3}
    pathlib.Path("metrics").mkdir(exist_ok=True)
    metrics = {"dataset": name, "trained": scores, "constant": {"abs_rel": 0.5}}
    pathlib.Path(f"metrics/{name}.json").write_text(json.dumps(metrics))
    write("reports", per_image_csv="key", report_html="page")
"""


def make_small_project(folder: Path) -> Path:
    """A git checkout, run to the end by `dvc repro`, whose network is version 1 in its store."""
    shutil.copytree(ROOT / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache"))
    for name in (".dvcignore", ".gitignore"):
        shutil.copyfile(ROOT / name, folder / name)
    (folder / "symbio").mkdir()
    (folder / "symbio" / "__init__.py").write_text("")
    (folder / "symbio" / "cli.py").write_text(_STAGES)
    shutil.copyfile(ROOT / "symbio" / "presets" / "sample.yaml", folder / "params.yaml")
    (folder / "dvc.yaml").write_text(yaml.safe_dump(_pipeline(), sort_keys=False))
    commit(folder)
    run(folder, "dvc", "repro", "--quiet")
    put_store(folder)
    put_version(folder)
    return folder


def commit(folder: Path) -> None:
    """Commit everything; the first time in a new repository."""
    run(folder, "git", "init", "-q")
    run(folder, "git", "add", "-A")
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    run(folder, "git", *identity, "commit", "-qm", "project")


def put_version(folder: Path, diff: str = "", **told: Any) -> Version:
    """Register models/nyu as the next version, as training and registration leave it in the store.

    Args:
        folder: the project's.
        diff: uncommitted changes that it was trained with.
        told: other values of the lineage, `ranks` for instance; `params` are changes of sections.
    """
    client, card = open_store(folder), "symbio-nyu"
    run_id = client.create_run(experiment_id(client, folder, card)).info.run_id
    for line in (folder / "checkpoints/nyu/journal.jsonl").read_text().splitlines()[1:]:
        record = json.loads(line)
        client.log_metric(
            run_id, "train/loss", record["metrics"]["train/loss"], step=record["step"]
        )
    params = load_params(folder / "params.yaml").model_dump(mode="json")
    for section, changes in told.pop("params", {}).items():
        params[section] |= changes
    head = run(folder, "git", "rev-parse", "HEAD").strip()
    sha = hashlib.sha256(diff.encode()).hexdigest() if diff else None
    lineage = {
        "git": {
            "commit": head,
            "branch": "main",
            "remote": None,
            "dirty": bool(diff),
            "diff_sha256": sha,
            "diff_truncated": False,
        },
        "inputs": [],
        "params": params,
        "versions": {"numpy": "0.0.1"},
        "python": "3.11.0",
        "devices": ["CPU of another machine"],
        "ranks": 2,
        "threads": 1,
        "seed": 7,
        **told,
    }
    metrics = json.loads((folder / "metrics/nyu.json").read_text())
    client.log_text(run_id, json.dumps(lineage), "lineage/lineage.json")
    if diff:
        client.log_text(run_id, diff, "lineage/uncommitted.diff")
    place = scores_folder(metrics_sha256(metrics))
    client.log_text(run_id, json.dumps(metrics), f"{place}/metrics.json")
    client.log_artifact(run_id, str(folder / "dvc.lock"), place)
    if not client.search_registered_models():
        client.create_registered_model(card)
    weights = (folder / "models/nyu/weights.safetensors").read_bytes()
    tags = {
        "symbio.dataset": "nyu",
        "symbio.weights_sha256": hashlib.sha256(weights).hexdigest(),
        "symbio.metrics_sha256": metrics_sha256(metrics),
    }
    if diff:
        tags["symbio.git_diff_sha256"] = str(sha)
    source = f"{client.get_run(run_id).info.artifact_uri}/model"
    made = client.create_model_version(card, source, run_id, tags)
    return version_at(folder, f"models:/{card}/{made.version}")


def object_of(folder: Path, out: str, name: str) -> Path:
    """A file of an output in the project's DVC cache."""
    lock = yaml.safe_load((folder / "dvc.lock").read_text())
    outs = [one for stage in lock["stages"].values() for one in stage["outs"]]
    listed = next(one["md5"] for one in outs if one["path"] == out)
    place = folder / ".dvc" / "cache" / "files" / "md5"
    files = json.loads((place / listed[:2] / listed[2:]).read_text())
    md5 = next(one["md5"] for one in files if one["relpath"] == name)
    return Path(place, md5[:2], md5[2:])


def flip_a_byte(path: Path) -> None:
    """Another byte in a file's middle, of the same length."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)


def _pipeline() -> dict[str, Any]:
    def stage(name: str, out: str, *deps: str, **more: Any) -> dict[str, Any]:
        return {
            name: {
                "foreach": ["nyu"],
                "do": {
                    "cmd": f"{sys.executable} -m symbio.cli {name} ${{item}}",
                    **({"deps": [f"{one}/${{item}}" for one in deps]} if deps else {}),
                    "outs": [f"{out}/${{item}}"],
                    **more,
                },
            }
        }

    metrics = {"metrics": [{"metrics/${item}.json": {"cache": False}}]}
    return {
        "stages": {
            **stage("sample", "data/sample"),
            **stage("prepare", "data/prepared", "data/sample"),
            **stage("label", "data/pseudo", "data/prepared"),
            **stage("train", "models", "data/prepared", "data/pseudo"),
            **stage("evaluate", "reports", "models", **metrics),
        }
    }


def ran(folder: Path) -> list[str]:
    """Stages that were run in the checkout of a reproduction, oldest first."""
    path = folder / "checkout" / "ran.txt"
    return path.read_text().split() if path.is_file() else []


def tags_of(folder: Path, version: str = "1") -> dict[str, str]:
    return dict(open_store(folder).get_model_version("symbio-nyu", version).tags)


def git_status(folder: Path) -> str:
    done = subprocess.run(
        ["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout
