"""Differences, intervals and verdicts: against closed forms, slow versions and known luck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from symbio.evaluate.confusion import Confusion
from symbio.evaluate.metrics import depth_sums, metrics_from_sums
from symbio.evaluate.paired import RESAMPLES, paired_interval
from symbio.search.frames import ClassCounts, Frames, SplitFrames
from symbio.search.statistics.compare import Comparison, compare, holm
from symbio.search.statistics.difference import difference
from symbio.search.statistics.gap import gap
from symbio.search.statistics.margin import Margin, margin
from symbio.search.statistics.scored import Scored, draws_of, scored


def frames_of(
    values: Sequence[float | None],
    metric: str = "abs_rel",
    scenes: Sequence[str] | None = None,
    pixels: Sequence[int] | None = None,
    aggregation: str = "per-image",
    classes: dict[str, ClassCounts] | None = None,
) -> Frames:
    """A network measured on frames of its test split, each a scene unless told."""
    keys = [f"frame-{number:03}" for number in range(len(values))]
    mean = sum(value or 0.0 for value in values) / len(values)
    split = SplitFrames(
        keys,
        list(scenes or keys),
        list(pixels or [100] * len(values)),
        {metric: list(values)},
        {metric: mean},
        classes or {},
    )
    return Frames("sha", "nyu", "none", aggregation, "data", "maps", {"test": split})


def score_of(frames: Frames, metric: str = "abs_rel") -> Scored:
    found = scored(frames, metric, "test")
    assert isinstance(found, Scored), found
    return found


# ---- scores of resampled frames -----------------------------------------------------------------


def confusions(count: int, classes: int = 6) -> list[np.ndarray]:
    """A confusion matrix for each frame, in which some classes are absent."""
    rng = np.random.default_rng(2)
    found = rng.integers(0, 50, (count, classes, classes + 1))
    found *= rng.random((count, classes, 1)) < 0.5
    found[1] = 0  # no label at all
    # A class of the first frames only: in sets without these it does not occur.
    found[3:, 5] = 0
    found[3:, :, 5] = 0
    return list(found)


def counts_of(matrices: list[np.ndarray], space: str = "ade20k") -> ClassCounts:
    rows = []
    for matrix in matrices:
        one = Confusion(matrix)
        union = one.truth_pixels + one.predicted_pixels - one.hits
        rows.append([[c, int(one.hits[c]), int(union[c])] for c in range(6) if union[c]])
    return ClassCounts(space, [int(matrix.sum()) for matrix in matrices], rows)


@pytest.mark.parametrize("score", ["miou", "pixel_accuracy"])
def test_class_scores_of_resampled_scenes_are_those_of_their_summed_confusion(score: str) -> None:
    matrices = confusions(12)
    scenes = [f"scene-{number // 3}" for number in range(12)]
    frames = frames_of([0.1] * 12, scenes=scenes, classes={"truth": counts_of(matrices)})
    found = score_of(frames, f"truth_{score}")
    assert found.num_frames == 11
    assert found.score == pytest.approx(Confusion(sum(matrices)).scores()[score], abs=1e-15)
    draws = draws_of(4)
    assert draws.shape == (RESAMPLES, 4)
    assert (draws.sum(axis=1) == 4).all()
    for draw, value in zip(draws[:20], found.resampled(draws[:20]), strict=True):
        chosen = [m for number, m in enumerate(matrices) for _ in range(int(draw[number // 3]))]
        assert value == pytest.approx(Confusion(sum(chosen)).scores()[score], abs=1e-15)


@pytest.mark.parametrize("metric", ["abs_rel", "rmse", "rmse_log", "irmse", "d1"])
def test_pooled_depth_scores_follow_from_the_frames_values(metric: str) -> None:
    rng = np.random.default_rng(3)
    truth = torch.from_numpy(rng.uniform(1, 9, (5, 8, 9)))
    guess = truth * torch.from_numpy(rng.uniform(0.6, 1.6, (5, 8, 9)))
    sums = depth_sums(guess, truth, torch.from_numpy(rng.random((5, 8, 9)) < 0.6))
    values = metrics_from_sums(sums, (metric,))[:, 0].tolist()
    pixels = [int(count) for count in sums[:, 0]]
    frames = frames_of(values, metric, pixels=pixels, aggregation="pooled")
    expected = float(metrics_from_sums(sums.sum(dim=0), (metric,)))
    assert score_of(frames, metric).score == pytest.approx(expected, rel=1e-12)


def test_what_cannot_be_scored_says_why() -> None:
    frames = frames_of([0.1, None], pixels=[5, 0])
    assert score_of(frames).score == 0.1
    assert "not a number" in str(scored(frames_of([0.1, None]), "abs_rel", "test"))
    assert "no frame has depth" in str(scored(frames_of([None], pixels=[0]), "abs_rel", "test"))
    assert "no frames of val" in str(scored(frames, "abs_rel", "val"))
    assert "predicts no classes" in str(scored(frames, "truth_miou", "test"))
    assert "no value for single frames" in str(scored(frames, "truth_mean_accuracy", "test"))
    pooled = frames_of([0.1], "silog", aggregation="pooled")
    assert "does not follow" in str(scored(pooled, "silog", "test"))


# ---- intervals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [7, 40])
def test_of_one_seed_the_interval_is_student_s_over_the_frames(count: int) -> None:
    rng = np.random.default_rng(4)
    first, second = rng.uniform(0.1, 0.2, count), rng.uniform(0.1, 0.21, count)
    found = margin(frames_of(list(first)), frames_of(list(second)), "abs_rel", "test")
    assert isinstance(found, Margin)
    change = first - second
    known = stats.ttest_1samp(change, 0.0)
    low, high = known.confidence_interval(0.95)
    assert found.difference == pytest.approx(change.mean())
    assert found.interval.low == pytest.approx(low, abs=0.02 * (high - low))
    assert found.interval.high == pytest.approx(high, abs=0.02 * (high - low))
    # The bootstrap is that by which versions are promoted, other draws aside.
    promoted = paired_interval(change, np.ones(count))
    width = promoted.high - promoted.low
    assert found.bootstrap.low == pytest.approx(promoted.low, abs=0.03 * width)
    assert found.bootstrap.high == pytest.approx(promoted.high, abs=0.03 * width)
    assert (found.num_frames, found.num_scenes) == (count, count)


def test_where_frames_do_not_matter_the_interval_is_student_s_over_the_seeds() -> None:
    by_seed = np.array([0.010, 0.014, 0.007])
    found = difference(by_seed, np.repeat(by_seed[:, None], RESAMPLES, axis=1), 16)
    known = stats.ttest_1samp(by_seed, 0.0)
    low, high = known.confidence_interval(0.95)
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))
    assert found.p == pytest.approx(known.pvalue)
    assert found.bootstrap.low == pytest.approx(0.007)
    assert found.bootstrap.high == pytest.approx(0.014)


def test_frames_of_one_scene_count_as_one() -> None:
    rng = np.random.default_rng(5)
    change = np.repeat(rng.normal(0.01, 0.02, 10), 4)
    scenes = [f"scene-{number // 4}" for number in range(40)]
    base = [0.2] * 40

    def width(scenes: list[str] | None) -> float:
        mine = frames_of(list(0.2 + change), scenes=scenes)
        found = margin(mine, frames_of(base, scenes=scenes), "abs_rel", "test")
        assert isinstance(found, Margin)
        return found.bootstrap.high - found.bootstrap.low

    assert width(scenes) == pytest.approx(2 * width(None), rel=0.05)


def test_no_more_differences_are_shown_than_luck_allows() -> None:
    """The rates that `symbio.search.statistics.difference` tells, without any true difference."""
    rng, draws = np.random.default_rng(6), draws_of(16) / 16
    studies = 400
    shown, naive = 0, 0
    for _ in range(studies):
        # Seeds matter more than frames: what a bootstrap of three seeds cannot see.
        table = rng.normal(0, 1.0, (3, 1)) + rng.normal(0, 0.5, (3, 16))
        found = difference(table.mean(axis=1), table @ draws.T, 16)
        shown += found.p < 0.05
        naive += found.bootstrap.low > 0 or found.bootstrap.high < 0
    assert shown / studies < 0.10
    assert naive / studies > 0.20
    shown = 0
    for _ in range(studies):
        # Frames matter more than seeds: what the spread between seeds cannot see.
        table = rng.normal(0, 0.1, (3, 1)) + rng.normal(0, 2, (1, 16)) + rng.normal(0, 1, (3, 16))
        shown += difference(table.mean(axis=1), table @ draws.T, 16).p < 0.05
    assert shown / studies < 0.08


# ---- verdicts -----------------------------------------------------------------------------------


def seeds_of(
    shift: float, seeds: Sequence[int] = (1, 2, 3), metric: str = "abs_rel"
) -> dict[int, Frames]:
    """Networks of a variant: frames that are hard for all, luck of seeds and of both."""
    hard = np.random.default_rng(0).uniform(0.1, 0.4, 24)
    found = {}
    for seed in seeds:
        rng = np.random.default_rng((seed, round(abs(shift) * 1e6)))
        values = hard + shift + rng.normal(0, 0.0005) + rng.normal(0, 0.002, 24)
        scenes = [f"scene-{number // 3}" for number in range(24)]
        found[seed] = frames_of(values.tolist(), metric, scenes)
    return found


def verdicts(found: Comparison) -> dict[str, str]:
    return {one.variant: one.verdict for one in found.variants}


def test_variants_beside_a_baseline() -> None:
    variants = {
        "good": seeds_of(-0.02),
        "same": seeds_of(0.00001),
        "none": seeds_of(0.0),
        "bad": seeds_of(0.02, seeds=(3, 2, 1, 9)),
        "two": seeds_of(-0.03, seeds=(1, 2)),
        "other": seeds_of(-0.03, seeds=(7, 8, 9)),
    }
    found = compare(variants, "none", "abs_rel", "test")
    assert [one.variant for one in found.variants] == list(variants)
    assert verdicts(found) == {
        "good": "better",
        "same": "no difference shown at n=3",
        "none": "baseline",
        "bad": "worse",
        "two": "no difference shown at n=2 (a verdict takes 3 seeds)",
        "other": "not compared: it shares no finished seed with the baseline",
    }
    assert (found.num_frames, found.num_scenes, found.comparisons) == (24, 8, 3)
    good, bad = found.variants[0], found.variants[3]
    scores = [frames.splits["test"].totals["abs_rel"] or 0.0 for frames in variants["bad"].values()]
    assert bad.n == 4
    assert bad.mean == pytest.approx(np.mean(scores))
    assert bad.std == pytest.approx(np.std(scores, ddof=1))
    assert list(bad.by_seed) == [1, 2, 3]
    for one in (good, bad):
        assert one.difference is not None
        assert one.difference.mean == pytest.approx(np.mean(list(one.by_seed.values())))
        assert one.difference.interval.low < one.difference.mean < one.difference.interval.high
        assert one.p_holm is not None
        assert one.difference.p <= one.p_holm < 0.05
    assert compare(variants, "none", "abs_rel", "test") == found


def test_where_higher_is_better_and_without_a_baseline() -> None:
    variants = {"none": seeds_of(0.0, metric="d1"), "more": seeds_of(0.02, metric="d1")}
    found = compare(variants, "none", "d1", "test")
    assert verdicts(found) == {"none": "baseline", "more": "better"}
    found = compare(variants, None, "d1", "test")
    assert verdicts(found) == {"none": "", "more": ""}
    assert [one.n for one in found.variants] == [3, 3]


def test_a_difference_that_only_many_comparisons_bring_forth_is_not_shown() -> None:
    # R: p.adjust(c(.01, .04, .03, .005), "holm")
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    variants = {"none": seeds_of(0.0), "one": seeds_of(0.0015)}
    alone = compare(variants, "none", "abs_rel", "test").variants[1]
    assert alone.difference is not None
    assert alone.difference.p < 0.05
    assert alone.verdict == "worse"
    for number in range(8):
        variants[f"same-{number}"] = seeds_of(0.00001 * (number + 1))
    among = compare(variants, "none", "abs_rel", "test").variants[1]
    assert among.difference == alone.difference
    told = "no difference shown at n=3 once corrected for the number of variants"
    assert (among.verdict, among.kind) == (told, "")


def test_what_was_measured_otherwise_is_not_compared() -> None:
    base = seeds_of(0.0)
    elsewhere = {seed: replace(one, data_sha256="other") for seed, one in seeds_of(-0.1).items()}
    one_scene = {
        seed: frames_of(one.splits["test"].metrics["abs_rel"], scenes=["hall"] * 24)
        for seed, one in base.items()
    }
    found = verdicts(compare({"a": base, "b": elsewhere}, "a", "abs_rel", "test"))
    assert found["b"].startswith("not compared: it was not measured on the same frames")
    found = verdicts(compare({"a": one_scene, "b": one_scene}, "a", "abs_rel", "test"))
    assert found["b"] == "no difference shown at n=3: all frames are of one scene"

    def said_in(space: str) -> dict[int, Frames]:
        counts = counts_of(confusions(12), space)
        return {1: frames_of([0.1] * 12, classes={"pseudo": counts})}

    found = verdicts(
        compare({"a": said_in("ade20k"), "b": said_in("nyu13")}, "a", "pseudo_miou", "test")
    )
    assert (
        found["b"] == "not compared: it was not measured on the same frames, or in the same classes"
    )
    assert isinstance(margin(said_in("ade20k")[1], said_in("nyu13")[1], "pseudo_miou", "test"), str)


def test_networks_that_are_the_same_do_not_differ() -> None:
    base = seeds_of(0.0)
    found = compare({"a": base, "b": base}, "a", "abs_rel", "test").variants[1]
    assert found.difference is not None
    assert (found.difference.interval.low, found.difference.interval.high) == (0.0, 0.0)
    assert found.verdict == "no difference shown at n=3"


def test_a_margin_between_two_networks_is_told_with_its_direction() -> None:
    worse, better = seeds_of(0.02)[1], seeds_of(0.0)[1]
    found = margin(better, worse, "abs_rel", "test")
    assert isinstance(found, Margin)
    assert (found.kind, found.verdict) == ("better", "better on frames like these")
    assert found.difference == pytest.approx(found.candidate - found.reference)
    found = margin(worse, better, "abs_rel", "test")
    assert isinstance(found, Margin)
    assert found.kind == "worse"
    found = margin(seeds_of(0.0)[2], better, "abs_rel", "test")
    assert isinstance(found, Margin)
    assert found.verdict == "no difference shown on these frames"


def test_a_gap_is_positive_where_held_out_frames_are_worse() -> None:
    def network(train: float, test: float, metric: str) -> Frames:
        held, seen = frames_of([test] * 2, metric), frames_of([train] * 2, metric)
        return replace(held, splits={**held.splits, "train": seen.splits["test"]})

    found = gap(
        {1: network(0.1, 0.15, "abs_rel"), 2: network(0.1, 0.17, "abs_rel")}, "abs_rel", "test"
    )
    assert found is not None
    assert (found.n, found.mean, found.std) == (
        2,
        pytest.approx(0.06),
        pytest.approx(0.02 / 2**0.5),
    )
    found = gap({1: network(0.9, 0.8, "d1")}, "d1", "test")
    assert found is not None
    assert (found.mean, found.std) == (pytest.approx(0.1), None)
    assert gap({1: network(0.9, 0.8, "d1")}, "d1", "val") is None
