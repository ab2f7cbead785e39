"""The page of a study: its numbers, its drawings, and that it needs nothing else."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest
from optuna.trial import TrialState

from symbio.search import attributes
from symbio.search.objectives import Objective
from symbio.search.page.importance import ENOUGH, importances_of
from symbio.search.page.svg import Canvas, Scale, scale_of
from symbio.search.plan import ablation_plan, search_plan
from symbio.search.result import Result, result_of
from tests.search.project import SPACE, study_params
from tests.search.studies import add_trial, measured, new_study

ABS_REL = Objective("abs_rel", False)
HOSTILE = "<script>alert(1)</script> | and\nmore"


def a_search(folder: Path, count: int = 12) -> Result:
    """Trial 0 with the project's own params; the score follows the learning rate alone."""
    study = new_study()
    add_trial(study, {}, 0.30, variant=attributes.DEFAULT, curve={5: 0.5, 10: 0.30})
    measured(folder, 0, {"train": [0.2], "val": [0.3, 0.3], "test": [0.4, 0.5, 0.6, 0.7]})
    for number in range(1, count):
        lr = 1e-4 * 100 ** (number / count)
        changes = {"train.lr": lr, "nearfarmix.mix": ("none", "cutmix")[number % 2]}
        score = 0.20 + abs(math.log10(lr / 1e-3)) / 10
        add_trial(study, changes, score, curve={5: 0.5, 10: score}, worker=f"host:{number % 2}")
    best = min(study.trials, key=lambda trial: trial.value)
    measured(folder, best.number, {"train": [0.1], "val": [0.2, 0.2], "test": [0.3, 0.4, 0.5, 0.6]})
    add_trial(study, {"train.lr": 1e-2}, 0.6, state=TrialState.PRUNED, curve={5: 0.6})
    add_trial(study, {"train.lr": 1e-3}, state=TrialState.FAIL, message=HOSTILE)
    params = study_params({"base": {"train.steps": 10}})
    return result_of(study, search_plan(params, "nyu"), [ABS_REL], folder)


SUITE = {
    "baseline": "none",
    "seeds": [1, 2, 3],
    "variants": {"good": {"nearfarmix.mix": "cutmix"}, "none": {}, "bad": {}, "same": {}},
}
EFFECTS = {"good": -0.08, "none": 0.0, "bad": 0.04, "same": 0.0}


def an_ablation(folder: Path, seeds: int = 3) -> Result:
    """By 0.08 better, by 0.04 worse, and now so and now so; alike on all splits."""
    study, number = new_study(), 0
    for seed in (1, 2, 3)[:seeds]:
        for variant, effect in EFFECTS.items():
            luck = 0.01 * (seed - 2) if variant == "same" else 0.0
            score = 0.30 + 0.01 * seed + effect + luck
            curve = {5: 0.5, 10: score}
            add_trial(study, {"seed": seed}, score, variant=variant, seed=seed, curve=curve)
            splits = {"train": [score - 0.02] * 4, "val": [score] * 4, "test": [score] * 6}
            measured(folder, number, splits)
            number += 1
    plan = ablation_plan(study_params(suite=SUITE), "nyu", "suite")
    return result_of(study, plan, [ABS_REL], folder)


def written(result: Result, folder: Path) -> tuple[str, str]:
    """Markdown and HTML."""
    result.write(folder)
    return (folder / "result.md").read_text(), (folder / "result.html").read_text()


def drawings(page: str) -> list[xml.Element]:
    return [xml.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def cells(markdown: str, first: str) -> list[str]:
    """The row of a Markdown table that begins with `first`."""
    row = next(line for line in markdown.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in row.strip("|").split(" | ")]


def test_a_search_tells_what_was_gained_and_how_sure_that_is(tmp_path: Path) -> None:
    text, _ = written(a_search(tmp_path), tmp_path)
    answer = text.split("## Question")[0]
    # lr = 1e-4 * 100^(6/12) = 1e-3 at trial 6: the score is 0.2, a third below 0.3.
    assert "Trial 6 with abs_rel 0.2 on val, 33.3 % lower than the project's own" in answer
    # On each test frame 0.1 less: no frame says otherwise.
    assert "On the 4 test frames" in answer
    assert "0.45 against 0.55, 18.2 % lower (-0.1, 95 % interval [-0.1, -0.1]" in answer
    assert "One training of each" in answer
    assert "train.lr 0.001, nearfarmix.mix none" in answer
    assert "best of 12 finished trials" in answer
    assert "search.base" in answer
    gain = [line for line in text.splitlines() if line.startswith("| abs_rel")]
    assert any("| test | 4 | 0.55 | 0.45 | -0.1 | [-0.1, -0.1] |" in line for line in gain)


def test_an_ablation_tells_which_variants_differ_and_which_do_not(tmp_path: Path) -> None:
    text, page = written(an_ablation(tmp_path), tmp_path)
    answer = text.split("## Question")[0]
    assert 'Of 3 variants compared with "none"' in answer
    # The baseline's mean is 0.32.
    assert "1 is better: good (25.0 % lower: -0.08, 95 % interval [-0.08, -0.08], n=3)" in answer
    assert "1 is worse: bad (12.5 % higher: +0.04" in answer
    assert "for 1 no difference is shown, which is not to say that there is none (same)" in answer
    assert "The 6 test frames, by which no checkpoint" in answer
    assert "give the same verdicts" in answer
    on_val, on_test = text.split("## On the ")[1:3]
    assert cells(on_val, "none")[:4] == ["none", "3", "0.32 ± 0.01", ""]
    assert cells(on_val, "good")[1:5] == ["3", "0.24 ± 0.01", "-0.08", "[-0.08, -0.08]"]
    assert cells(on_val, "good")[-1] == "better"
    assert cells(on_test, "good")[-2:] == ["+0.02", "better"]
    # Three differences on val and on test, each seed's dot and the mean's.
    for drawing in drawings(page)[:2]:
        assert len([shape for shape in drawing if shape.tag == "circle"]) == 3 * (3 + 1)
    values = json.loads((tmp_path / "result.json").read_text())
    kinds = {one["variant"]: one["kind"] for one in values["comparisons"]["val"]["variants"]}
    assert kinds == {"good": "better", "none": "", "bad": "worse", "same": ""}


def test_two_seeds_give_no_verdict_however_clear_it_looks(tmp_path: Path) -> None:
    text, _ = written(an_ablation(tmp_path, seeds=2), tmp_path)
    answer = text.split("## Question")[0]
    assert "for 3 no difference is shown" in answer
    assert "Not all 3 seeds stand behind good, bad, same" in answer


def test_scores_of_trials_that_are_not_measured_yet_are_shown_without_a_verdict(
    tmp_path: Path,
) -> None:
    result = an_ablation(tmp_path)
    for path in tmp_path.glob("trial-*/frames.json"):
        path.unlink()
    text, _ = written(result, tmp_path)
    assert "None yet" in text.split("## Question")[0]
    assert cells(text.split("## On the ")[1], "good")[1:4] == ["3", "0.24 ± 0.01", ""]


def test_a_broken_measurement_is_told_and_stops_nothing(tmp_path: Path) -> None:
    result = an_ablation(tmp_path)
    (tmp_path / "trial-0000" / "frames.json").write_text("{")
    text, _ = written(result, tmp_path)
    assert "* Trial 0: " in text.split("## What did not work")[1]
    assert cells(text.split("## On the ")[1], "good")[1] == "2"


def test_no_trial_better_than_the_projects_own_params_is_said(tmp_path: Path) -> None:
    study = new_study()
    add_trial(study, {}, 0.1, variant=attributes.DEFAULT)
    add_trial(study, {"train.lr": 1e-3}, 0.2)
    result = result_of(study, search_plan(study_params(), "nyu"), [ABS_REL], tmp_path)
    text, page = written(result, tmp_path)
    assert "No trial is better than the project's own params" in text
    assert f"fewer than {ENOUGH} trials with drawn values" in text
    assert len(drawings(page)) == 2  # by trial, and by parameter: no validation was told


def test_pages_need_nothing_else_and_escape_everything(tmp_path: Path) -> None:
    for result, name in ((a_search(tmp_path / "a"), "a"), (an_ablation(tmp_path / "b"), "b")):
        text, page = written(result, tmp_path / name)
        assert "<script" not in page
        assert "<script" not in text
        assert not re.search(r"(src|href|url)\s*[=(]", page)
        assert "http" not in page
        found = drawings(page)
        assert len(found) >= 3
        for drawing in found:
            assert "nan" not in xml.tostring(drawing, encoding="unicode").lower()
        # Tables stay tables, whatever a message holds.
        for line in text.splitlines():
            assert not line.startswith("more")
        again = written(result, tmp_path / name)
        assert again == (text, page)


def test_every_trial_has_its_line_in_the_drawings(tmp_path: Path) -> None:
    _, page = written(a_search(tmp_path), tmp_path)
    by_trial, by_parameter, by_step = drawings(page)[:3]
    dots = [shape for shape in by_trial if shape.tag == "circle"]
    assert len(dots) == 13  # the failed one has no score
    lines = [shape for shape in by_parameter if shape.find("title") is not None]
    assert len(lines) == 13
    assert {len(shape.attrib["points"].split()) for shape in lines} == {len(SPACE) + 1}
    assert len([shape for shape in by_step if shape.tag == "circle"]) == 13


def test_the_parameter_that_decides_is_told_from_one_that_does_nothing(tmp_path: Path) -> None:
    result = a_search(tmp_path, count=30)
    found = importances_of(result.trials, result.objectives)
    assert [one.key for one in found] == ["train.lr", "nearfarmix.mix"]
    assert sum(one.share for one in found) == pytest.approx(1)
    assert all(0 <= one.low <= one.share <= one.high <= 1 for one in found)
    assert found[0].low > found[1].high
    assert importances_of(result.trials[:ENOUGH], result.objectives) == []


def test_scales_and_their_ticks() -> None:
    scale = Scale(0.01, 1.0, 0, 200, log=True)
    assert [scale.at(value) for value in (0.01, 0.1, 1.0, 5.0)] == pytest.approx([0, 100, 200, 200])
    assert scale.ticks() == pytest.approx([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
    assert Scale(-0.13, 0.42, 10, 0).ticks() == pytest.approx([0.0, 0.2, 0.4])
    # One value, or none, still makes a scale of some length.
    assert scale_of([3.0], 0, 10).at(3.0) == pytest.approx(5)
    assert scale_of([], 0, 10).at(0.5) == pytest.approx(5)


def test_text_in_drawings_is_escaped() -> None:
    canvas = Canvas(10, 10)
    canvas.text(0, 0, "a < b & c")
    canvas.dot(1, 1, "red", told="<script>")
    root = xml.fromstring(canvas.svg())
    assert [element.text for element in root.iter() if element.text and element.text.strip()] == [
        "a < b & c",
        "<script>",
    ]
