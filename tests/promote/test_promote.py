"""Promotion in a real store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from symbio.errors import SymbioError
from symbio.params import Params
from symbio.promote.run import back, run
from symbio.tracking import open_store
from tests.promote.conftest import (
    FRAMES,
    NAME,
    ROOT,
    aliases,
    put_version,
    recorded,
    version_tags,
    write_table,
)

BETTER = [value * 0.9 for value in FRAMES]
WORSE = [value * 1.1 for value in FRAMES]
NOISY = [value + (0.05 if n % 2 else -0.052) for n, value in enumerate(FRAMES)]


def test_the_life_of_a_champion(project: Path, params: Params) -> None:
    put_version(project, params, FRAMES)
    first = run(params, "nyu", project)
    assert (first["verdict"], first["champion"], first["champion_before"]) == (
        "promoted",
        "1",
        None,
    )
    assert "constant" in first["reasons"][0]
    assert aliases(project) == {"candidate": "1", "champion": "1"}

    again = run(params, "nyu", project)
    assert (again["verdict"], again["champion"]) == ("unchanged", "1")
    assert "record" not in again

    put_version(project, params, WORSE)
    refused = run(params, "nyu", project)
    assert (refused["verdict"], refused["champion"]) == ("refused", "1")
    assert aliases(project) == {"candidate": "2", "challenger": "2", "champion": "1"}

    put_version(project, params, BETTER)
    promoted = run(params, "nyu", project)
    assert (promoted["verdict"], promoted["champion_before"]) == ("promoted", "1")
    assert aliases(project) == {"candidate": "3", "champion": "3"}

    assert "not known: " in promoted["reasons"][2], "one seed each"
    written = recorded(project, promoted)
    assert written == {key: one for key, one in promoted.items() if key != "record"}
    mean = sum(FRAMES) / len(FRAMES)
    assert written["metric"]["gain"] == pytest.approx(0.1 * mean)
    assert written["metric"]["relative_gain"] == pytest.approx(0.1)
    low, high = written["interval"]["low"], written["interval"]["high"]
    assert 0 < low < 0.1 * mean < high
    assert written["rule"] == params.promote.model_dump(mode="json")
    assert written["measured"]["trained"]["abs_rel"] == pytest.approx(0.9 * mean)
    assert written["champion_measured"]["data_sha256"] == "d" * 64
    tags = version_tags(project, "3")
    assert tags["symbio.promotion"] == "promoted"
    assert tags["symbio.promotion.time"] == promoted["time"]
    assert version_tags(project, "2")["symbio.promotion"] == "refused"
    assert "abs_rel" in version_tags(project, "2")["symbio.promotion.reason"]


def test_a_twin_is_never_promoted(project: Path, params: Params) -> None:
    put_version(project, params, FRAMES)
    run(params, "nyu", project)
    # Other bytes of the metrics file, the same numbers.
    put_version(project, params, FRAMES, num_pixels=1)
    decision = run(params, "nyu", project)
    assert (decision["version"], decision["verdict"]) == ("2", "refused")
    assert (decision["interval"]["low"], decision["interval"]["high"]) == (0.0, 0.0)


def test_a_gain_within_noise_is_refused(project: Path, params: Params) -> None:
    put_version(project, params, FRAMES)
    run(params, "nyu", project)
    put_version(project, params, NOISY)
    decision = run(params, "nyu", project)
    assert decision["metric"]["holds"] is True
    assert decision["interval"]["low"] < 0 < decision["interval"]["high"]
    assert decision["verdict"] == "refused"


def test_a_better_metric_does_not_buy_a_worse_guarded_one(project: Path, params: Params) -> None:
    put_version(project, params, FRAMES)
    run(params, "nyu", project)
    put_version(project, params, BETTER, d1=0.85)
    decision = run(params, "nyu", project)
    assert decision["verdict"] == "refused"
    assert [guard["metric"] for guard in decision["guards"] if not guard["holds"]] == ["d1"]
    assert aliases(project)["champion"] == "1"


def test_a_first_version_no_better_than_a_constant_is_no_champion(
    project: Path, params: Params
) -> None:
    put_version(project, params, [0.5, 0.6])
    decision = run(params, "nyu", project)
    assert (decision["verdict"], decision["champion"]) == ("refused", None)
    assert aliases(project) == {"candidate": "1", "challenger": "1"}


@pytest.mark.parametrize(
    "changed",
    [{"data_sha256": "e" * 64}, {"split_sha256": "6" * 64}, {"num_images": 3}],
)
def test_what_was_not_measured_alike_is_not_compared(
    project: Path, params: Params, changed: dict
) -> None:
    put_version(project, params, FRAMES)
    run(params, "nyu", project)
    put_version(project, params, BETTER, **changed)
    what = next(iter(changed))
    with pytest.raises(
        SymbioError, match=rf"differ in {what}.*symbio evaluate nyu --model models:/symbio-nyu/1"
    ) as caught:
        run(params, "nyu", project)
    assert caught.value.exit_code == 2
    assert aliases(project)["champion"] == "1"


def test_models_of_other_label_spaces_are_compared_by_depth_alone(
    project: Path, params: Params
) -> None:
    put_version(project, params, FRAMES, label_space="nyu40", maps_sha256="a" * 64)
    run(params, "nyu", project)
    put_version(project, params, BETTER, label_space="ade150", maps_sha256="b" * 64)
    assert "truth_miou" in params.promote.no_loss_beyond
    with pytest.raises(
        SymbioError,
        match=r"symbio-nyu/2 is scored in ade150.*symbio-nyu/1 in nyu40: truth_miou.*labels\.space",
    ) as caught:
        run(params, "nyu", project)
    assert caught.value.exit_code == 2
    assert aliases(project)["champion"] == "1"
    of_depth = params.promote.model_copy(update={"no_loss_beyond": {"d1": 0.01}})
    decision = run(params.model_copy(update={"promote": of_depth}), "nyu", project)
    assert decision["verdict"] == "promoted"


def test_scores_by_another_protocol_do_not_count(project: Path, params: Params) -> None:
    put_version(project, params, FRAMES, protocol="none")
    with pytest.raises(
        SymbioError, match=r"by nyu-eigen.*symbio evaluate nyu --model models:/symbio-nyu/1"
    ):
        run(params, "nyu", project)


def test_scores_that_were_changed_in_the_store_are_refused(project: Path, params: Params) -> None:
    put_version(project, params, FRAMES)
    (found,) = (project / "mlruns").rglob("scores/*/metrics.json")
    found.write_text(found.read_text().replace("0.4", "0.5"))
    with pytest.raises(SymbioError, match="was changed"):
        run(params, "nyu", project)


def test_without_a_fitting_table_the_values_decide_and_it_is_said(
    project: Path, params: Params
) -> None:
    put_version(project, params, FRAMES)
    run(params, "nyu", project)
    put_version(project, params, BETTER)
    version = open_store(project).get_model_version(NAME, "2")
    sha = version.tags["symbio.metrics_sha256"][:16]
    (table,) = (project / "mlruns").rglob(f"scores/{sha}/per_image.csv")
    write_table(table, WORSE)
    decision = run(params, "nyu", project)
    assert "no mean over the frames" in decision["interval"]
    assert decision["verdict"] == "promoted"


def test_roll_back(project: Path, params: Params) -> None:
    for frames in (FRAMES, BETTER, [value * 0.8 for value in FRAMES]):
        put_version(project, params, frames)
        assert run(params, "nyu", project)["verdict"] == "promoted"
    first = back("nyu", project)
    assert (first["verdict"], first["version"], first["champion"]) == ("rolled back", "3", "2")
    assert recorded(project, first)["champion_before"] == "3"
    assert aliases(project) == {"candidate": "3", "champion": "2"}
    assert version_tags(project, "3")["symbio.promotion"] == "rolled back"

    kept = run(params, "nyu", project)
    assert (kept["verdict"], kept["champion"]) == ("refused", "2")
    assert "rolled back" in kept["reasons"][0]
    # The refusal is a decision too, and flows give the number: neither opens the door.
    assert run(params, "nyu", project, "models:/symbio-nyu/3")["verdict"] == "refused"

    assert back("nyu", project)["champion"] == "1"
    with pytest.raises(SymbioError, match="no version was champion before it"):
        back("nyu", project)
    assert aliases(project)["champion"] == "1"

    open_store(project).delete_model_version_tag(NAME, "3", "symbio.rolled_back")
    allowed = run(params, "nyu", project)
    assert (allowed["verdict"], allowed["champion_before"]) == ("promoted", "1")
    assert back("nyu", project)["champion"] == "1"


def test_roll_back_passes_over_a_version_that_is_gone(project: Path, params: Params) -> None:
    for frames in (FRAMES, BETTER, [value * 0.8 for value in FRAMES]):
        put_version(project, params, frames)
        run(params, "nyu", project)
    open_store(project).delete_model_version(NAME, "2")
    assert back("nyu", project)["champion"] == "1"


def test_a_champion_that_somebody_set_by_hand_is_the_one_before(
    project: Path, params: Params
) -> None:
    put_version(project, params, WORSE)
    run(params, "nyu", project)
    put_version(project, params, FRAMES)
    open_store(project).set_registered_model_alias(NAME, "champion", "2")
    put_version(project, params, BETTER)
    assert run(params, "nyu", project)["champion_before"] == "2"
    assert back("nyu", project)["champion"] == "2"
    assert back("nyu", project)["champion"] == "1"


def test_a_process_that_died_before_the_alias_moved_is_put_right(
    project: Path, params: Params
) -> None:
    put_version(project, params, FRAMES)
    run(params, "nyu", project)
    put_version(project, params, BETTER)
    client = open_store(project)
    client.set_registered_model_alias(NAME, "challenger", "2")
    client.set_registered_model_tag(NAME, "symbio.champions", "1 2")
    assert run(params, "nyu", project)["verdict"] == "promoted"
    assert client.get_registered_model(NAME).tags["symbio.champions"] == "1 2"
    # And one that died after it moved, before the challenger was dropped.
    client.set_registered_model_alias(NAME, "challenger", "2")
    assert run(params, "nyu", project)["verdict"] == "unchanged"
    assert aliases(project) == {"candidate": "2", "champion": "2"}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("models:/symbio-nyu/9", "there is no such version"),
        ("models:/symbio-nyu@champion", "@candidate .version 1."),
        ("models/nyu", "is no registered version"),
        ("models:/symbio-kitti/1", "there is no such version"),
    ],
)
def test_what_is_no_version_is_named(
    project: Path, params: Params, model: str, message: str
) -> None:
    put_version(project, params, FRAMES)
    with pytest.raises(SymbioError, match=message) as caught:
        run(params, "nyu", project, model)
    assert caught.value.exit_code == 2


def test_nothing_registered_yet(project: Path, params: Params) -> None:
    with pytest.raises(SymbioError, match="symbio register"):
        run(params, "nyu", project)
    with pytest.raises(SymbioError, match="has no champion"):
        back("nyu", project)


def test_a_store_that_is_away(
    project: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://somebody:hush@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for verb in (lambda: run(params, "nyu", project), lambda: back("nyu", project)):
        with pytest.raises(SymbioError, match=r"127\.0\.0\.1:9.*same command") as caught:
            verb()
        assert caught.value.exit_code == 75
        assert "hush" not in str(caught.value)


@pytest.mark.slow
def test_two_at_once_decide_once(project: Path, params: Params) -> None:
    put_version(project, params, FRAMES)
    run(params, "nyu", project)
    put_version(project, params, BETTER)
    (project / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    command = [sys.executable, "-m", "symbio.cli", "promote", "nyu"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    both = [
        subprocess.Popen(command, cwd=project, env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = sorted(process.communicate(timeout=120)[1] for process in both)
    assert [process.returncode for process in both] == [0, 0], told
    assert "models:/symbio-nyu/2: promoted" in told[0]
    assert "models:/symbio-nyu/2: unchanged" in told[1]
    assert aliases(project) == {"candidate": "2", "champion": "2"}
    assert open_store(project).get_registered_model(NAME).tags["symbio.champions"] == "1 2"
    rolled = subprocess.run(
        [*command, "--back"], cwd=project, env=environment, capture_output=True, text=True
    )
    assert rolled.returncode == 0, rolled.stderr
    assert aliases(project)["champion"] == "1"
