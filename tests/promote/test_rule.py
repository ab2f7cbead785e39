"""The rule on bare numbers."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from symbio.evaluate.metrics import METRICS
from symbio.evaluate.paired import Interval
from symbio.params import MetricName, PromoteParams
from symbio.promote.rule import against_champion, against_constant
from symbio.promote.seeds import group_of, seed_interval

SURE = Interval(0.01, 0.03, 0.02, 100)
UNSURE = Interval(-0.001, 0.04, 0.02, 100)
ONE_SEED = "no configuration has several seeds"


def rule(**values: Any) -> PromoteParams:
    given = {"metric": "abs_rel", "min_gain": 0.0, "no_loss_beyond": {}, **values}
    return PromoteParams.model_validate(given)


def scores(**trained: Any) -> dict[str, Any]:
    return {"trained": trained, "constant": {"abs_rel": 0.4, "d1": 0.3}}


@pytest.mark.parametrize(
    ("mine", "theirs", "params", "interval", "promoted"),
    [
        ({"abs_rel": 0.18}, {"abs_rel": 0.2}, rule(), SURE, True),
        ({"abs_rel": 0.2}, {"abs_rel": 0.2}, rule(), SURE, False),
        ({"abs_rel": 0.21}, {"abs_rel": 0.2}, rule(), SURE, False),
        ({"abs_rel": 0.18}, {"abs_rel": 0.2}, rule(), UNSURE, False),
        ({"abs_rel": 0.18}, {"abs_rel": 0.2}, rule(), Interval(0.0, 0.1, 0.02, 9), False),
        ({"abs_rel": 0.18}, {"abs_rel": 0.2}, rule(), "no table", True),
        ({"abs_rel": 0.18}, {"abs_rel": 0.2}, rule(min_gain=0.09), SURE, True),
        ({"abs_rel": 0.18}, {"abs_rel": 0.2}, rule(min_gain=0.11), SURE, False),
        ({"abs_rel": None}, {"abs_rel": 0.2}, rule(), "not a number", False),
        ({"abs_rel": 0.2}, {"abs_rel": None}, rule(), "not a number", True),
        ({"d1": 0.9}, {"d1": 0.8}, rule(metric="d1"), SURE, True),
        ({"d1": 0.8}, {"d1": 0.9}, rule(metric="d1"), SURE, False),
        ({"truth_miou": 0.8}, {}, rule(metric="truth_miou"), "no frames", True),
    ],
)
def test_the_metric(
    mine: dict, theirs: dict, params: PromoteParams, interval: Any, promoted: bool
) -> None:
    verdict = against_champion(params, scores(**mine), scores(**theirs), interval, ONE_SEED)
    assert verdict.promoted is promoted, verdict.reasons


@pytest.mark.parametrize(
    ("mine", "theirs", "allowed", "promoted"),
    [
        ({"rmse": 1.01}, {"rmse": 1.0}, {"rmse": 0.02}, True),
        ({"rmse": 1.03}, {"rmse": 1.0}, {"rmse": 0.02}, False),
        ({"rmse": 0.5}, {"rmse": 1.0}, {"rmse": 0.0}, True),
        ({"d1": 0.89}, {"d1": 0.9}, {"d1": 0.02}, True),
        ({"d1": 0.85}, {"d1": 0.9}, {"d1": 0.02}, False),
        ({"rmse": None}, {"rmse": 1.0}, {"rmse": 9.0}, False),
        ({}, {"truth_miou": 0.5}, {"truth_miou": 0.5}, False),
        ({}, {}, {"truth_miou": 0.0}, True),
        ({"truth_miou": 0.1}, {"truth_miou": None}, {"truth_miou": 0.0}, True),
        ({"irmse": 0.1}, {"irmse": 0.0}, {"irmse": 9.0}, False),
        ({"rmse": 1.0, "d1": 0.1}, {"rmse": 1.0, "d1": 0.9}, {"rmse": 0.0, "d1": 0.01}, False),
    ],
)
def test_guarded_metrics(mine: dict, theirs: dict, allowed: dict, promoted: bool) -> None:
    verdict = against_champion(
        rule(no_loss_beyond=allowed),
        scores(abs_rel=0.18, **mine),
        scores(abs_rel=0.2, **theirs),
        SURE,
        ONE_SEED,
    )
    assert verdict.promoted is promoted, verdict.reasons
    assert [guard.holds for guard in verdict.guards].count(False) == (not promoted)


def test_reasons_name_values_and_rule() -> None:
    params = rule(min_gain=0.2, no_loss_beyond={"d1": 0.01})
    mine, theirs = scores(abs_rel=0.18, d1=0.5), scores(abs_rel=0.2, d1=1.0)
    verdict = against_champion(params, mine, theirs, UNSURE, ONE_SEED)
    first, second, of_seeds, third = verdict.reasons
    assert "abs_rel 0.18 against 0.2, gains +10.00%" in first
    assert "at least 20.00%): does not hold" in first
    assert "-0.001 to 0.04 over 100 frames" in second
    assert of_seeds.endswith(f"not known: {ONE_SEED}")
    assert "d1 0.5 against 1, changes by -50.00% (may lose 1.00%): does not hold" in third


@pytest.mark.parametrize(("spread", "promoted"), [(0.001, True), (0.02, False)])
def test_a_gain_within_the_luck_of_the_seed_is_refused(spread: float, promoted: bool) -> None:
    mine = group_of({1: ("4", 0.18 - spread), 2: ("5", 0.18 + spread)})
    theirs = group_of({1: ("1", 0.2 - spread), 2: ("2", 0.2 + spread)})
    seeds = seed_interval(mine, theirs, higher_is_better=False)
    verdict = against_champion(rule(), scores(abs_rel=0.18), scores(abs_rel=0.2), SURE, seeds)
    assert verdict.promoted is promoted
    assert "over seeds 0.18 +- " in verdict.reasons[2]
    assert ("needs all above 0" in verdict.reasons[2]) is not promoted


@pytest.mark.parametrize(("value", "promoted"), [(0.3, True), (0.4, False), (0.5, False)])
def test_the_first_must_beat_the_constant(value: float, promoted: bool) -> None:
    params = rule(min_gain=0.9, no_loss_beyond={"d1": 0.0})
    assert against_constant(params, scores(abs_rel=value)).promoted is promoted
    assert not against_constant(params, scores(abs_rel=None)).promoted


def test_the_names_in_params_are_those_of_the_metrics() -> None:
    names = set(get_args(MetricName))
    depth = {name for name in names if not name.startswith("truth_")}
    semantic = {name.removeprefix("truth_") for name in names - depth}
    assert depth | semantic == METRICS.keys()
    assert not depth & semantic


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        (SURE, "it is more than noise"),
        (UNSURE, "it may be noise (needs all above 0)"),
        (Interval(-0.03, -0.01, -0.02, 100), "it is a loss, and more than noise"),
    ],
)
def test_what_an_interval_says(interval: Interval, said: str) -> None:
    mine, theirs = scores(abs_rel=0.18), scores(abs_rel=0.2)
    verdict = against_champion(rule(), mine, theirs, interval, ONE_SEED)
    assert any(reason.endswith(said) for reason in verdict.reasons), verdict.reasons
