"""Configurations of several seeds in a real store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from symbio.params import Params
from symbio.promote.run import run
from symbio.tracking import open_store
from symbio.tracking.models import point_alias, register_version, tag_version, version_of
from symbio.tracking.scores import METRICS_TAG, metrics_sha256, store_scores
from tests.promote.conftest import FRAMES, NAME, aliases, put_version, recorded, write_scores

MEAN = sum(FRAMES) / len(FRAMES)


def put_seed(
    root: Path, params: Params, config: str, seed: int, factor: float, **changed: Any
) -> str:
    """A version whose abs_rel is `factor` times that of FRAMES, frame by frame."""
    more = changed.pop("tags", {})
    frames = [value * factor for value in FRAMES]
    first = version_of(root, NAME, "1")
    if first is None:
        number = put_version(root, params, frames, **changed)
        first = version_of(root, NAME, number)
        assert first is not None
    else:
        # The package of the first serves all: making one takes a second.
        metrics = write_scores(root, frames, **changed)
        store_scores(root, first.run_id, metrics, root / "reports" / "nyu")
        scored = {**first.tags, METRICS_TAG: metrics_sha256(metrics)}
        made = register_version(root, NAME, first.source, first.run_id, scored, "")
        number = made.version
        point_alias(root, NAME, "candidate", number)
    wanted = {"symbio.config_sha256": config * 64, "symbio.seed": str(seed), **more}
    found = version_of(root, NAME, number)
    assert found is not None
    tag_version(root, found, wanted)
    return number


def put_champion(root: Path, params: Params, factors: Sequence[float]) -> None:
    """Versions of configuration "a" with seeds 0, 1, ...; the first is the champion."""
    for seed, factor in enumerate(factors):
        put_seed(root, params, "a", seed, factor)
        if seed == 0:
            assert run(params, "nyu", root)["verdict"] == "promoted"


def values_of(decision: dict[str, Any], side: str) -> dict[int, float]:
    group = decision["seeds"][side]
    factors = [value / MEAN for value in group["values"]]
    return dict(zip(group["seeds"], pytest.approx(factors).expected, strict=True))


def test_a_lucky_seed_is_refused_and_the_group_tells(project: Path, params: Params) -> None:
    put_champion(project, params, [1.0, 0.8, 1.2])
    # Better on every frame than the champion is, as two of three seeds would be.
    number = put_seed(project, params, "b", 0, 0.9)
    decision = run(params, "nyu", project)
    assert (decision["version"], decision["verdict"]) == (number, "refused")
    assert decision["interval"]["low"] > 0, "the frames alone would have promoted it"
    assert values_of(decision, "candidate") == pytest.approx({0: 0.9})
    assert values_of(decision, "champion") == pytest.approx({0: 1.0, 1: 0.8, 2: 1.2})
    assert decision["seeds"]["champion"]["std"] == pytest.approx(0.2 * MEAN)
    assert decision["seeds"]["low"] < 0 < decision["seeds"]["gain"]

    written = recorded(project, decision)
    assert written["seeds"] == decision["seeds"]
    page = Path(
        open_store(project).download_artifacts(
            open_store(project).get_model_version(NAME, number).run_id,
            decision["record"].replace(".json", ".md"),
            str(project),
        )
    ).read_text()
    assert f"models:/{NAME}/{number}: refused" in page
    assert "0 (1: " in page
    assert "2 (3: " in page


def test_a_gain_beyond_the_scatter_is_promoted(project: Path, params: Params) -> None:
    put_champion(project, params, [1.0, 0.99, 1.01])
    put_seed(project, params, "b", 5, 0.79)
    put_seed(project, params, "b", 6, 0.81)
    decision = run(params, "nyu", project)
    assert decision["verdict"] == "promoted"
    assert decision["seeds"]["gain"] == pytest.approx(0.2 * MEAN)
    assert "each configuration's own" in decision["seeds"]["spread"]
    assert aliases(project)["champion"] == "5"


def test_the_newest_of_a_seed_counts_and_only_what_is_alike(project: Path, params: Params) -> None:
    put_champion(project, params, [1.0, 0.5])
    put_seed(project, params, "a", 1, 0.97, num_pixels=1)
    put_seed(project, params, "a", 2, 0.6, data_sha256="e" * 64)
    put_seed(project, params, "a", 3, 0.6, num_pixels=2, tags={"symbio.data.data/pseudo": "2"})
    put_seed(project, params, "a", 4, 0.6, num_pixels=3, tags={"symbio.data.models/nyu": "3"})
    put_seed(project, params, "b", 0, 0.9)
    decision = run(params, "nyu", project)
    assert values_of(decision, "champion") == pytest.approx({0: 1.0, 1: 0.97, 4: 0.6})


def test_another_seed_of_the_champion_is_judged_by_their_scatter(
    project: Path, params: Params
) -> None:
    put_champion(project, params, [1.0])
    put_seed(project, params, "a", 1, 0.9)
    decision = run(params, "nyu", project)
    assert decision["verdict"] == "refused"
    assert "one configuration" in decision["seeds"]["spread"]
    # The champion's own seed, trained again (with newer code): of that nothing is known.
    put_seed(project, params, "a", 0, 0.8)
    again = run(params, "nyu", project, f"models:/{NAME}/3")
    assert values_of(again, "candidate") == pytest.approx({0: 0.8})
    assert "seeds 0, 1" in again["seeds"]["spread"]


def test_a_stale_input_is_no_known_data(project: Path, params: Params) -> None:
    put_champion(project, params, [1.0, 0.5])
    put_seed(project, params, "b", 0, 0.9, tags={"symbio.data.data/pseudo/nyu": "1 (stale)"})
    decision = run(params, "nyu", project)
    assert "does not say which configuration" in decision["seeds"]
    assert decision["verdict"] == "promoted"
