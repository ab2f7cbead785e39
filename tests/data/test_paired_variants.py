"""Variants of one seed train on the same frames in the same order, augmented alike."""

from __future__ import annotations

import pytest
import torch

from symbio.data.frame import Batch
from symbio.data.loader import GlobalBatches
from symbio.data.shards import Shards
from symbio.params import Params, load_params
from symbio.presets import PRESETS
from symbio.search.plan import Cell, Plan, ablation_plan
from symbio.train.claim import uses_pseudo
from tests.data.prepared import write_prepared

STEPS = 4
SEED = 1
SMALL = {"nyu.image_size": [48, 64], "nearfarmix.probability": 0.5}


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shards, Shards]:
    return write_prepared(tmp_path_factory.mktemp("data"), {"train": 11})


def batches(shards: tuple[Shards, Shards], params: Params) -> list[Batch]:
    """Every micro-batch of the first steps; the third begins the second epoch."""
    prepared, pseudo = shards
    source = GlobalBatches(prepared, pseudo if uses_pseudo(params) else None, params, "nyu")
    try:
        return [batch for step in range(STEPS) for batch in source.micro_batches(step)]
    finally:
        source.close()


def of_suite(suite: str) -> tuple[Plan, list[Cell]]:
    plan = ablation_plan(load_params(PRESETS / "sample.yaml"), "nyu", suite)
    return plan, [cell for cell in plan.cells if cell.seed == SEED]


def trained(plan: Plan, cell: Cell) -> Params:
    return plan.params_of({**SMALL, **cell.changes}, cell.variant)


@pytest.mark.parametrize("suite", ["symbiosis", "encoders"])
def test_variants_of_the_network_see_the_same_pixels(
    shards: tuple[Shards, Shards], suite: str
) -> None:
    plan, cells = of_suite(suite)
    first, *others = (batches(shards, trained(plan, cell)) for cell in cells[:4])
    for other in others:
        for one, two in zip(first, other, strict=True):
            assert one.keys == two.keys
            for name in ("image", "depth", "semantic", "confidence"):
                assert torch.equal(getattr(one, name), getattr(two, name))


@pytest.mark.parametrize("suite", ["mix", "labels"])
def test_variants_of_the_data_differ_only_where_they_say(
    shards: tuple[Shards, Shards], suite: str
) -> None:
    """The same frame has its turn, with the same partner; what is not mixed is the same."""
    plan, cells = of_suite(suite)
    baseline, *others = (batches(shards, trained(plan, cell)) for cell in cells)
    mixed_rows = set()
    for cell, other in zip(cells[1:], others, strict=True):
        rows = set()
        for number, (one, two) in enumerate(zip(baseline, other, strict=True)):
            for row, (ours, theirs) in enumerate(zip(one.keys, two.keys, strict=True)):
                assert ours.split("+")[0] == theirs.split("+")[0]
                if "+" in theirs:
                    rows.add((number, row, theirs))
                elif "+" not in ours:
                    assert torch.equal(one.image[row], two.image[row]), cell.variant
                    assert torch.equal(one.depth[row], two.depth[row]), cell.variant
        mixed_rows.add(frozenset(rows))
    assert len(mixed_rows) == 1
    assert 5 < len(next(iter(mixed_rows))) < STEPS * 8 - 5


def test_another_seed_is_another_order(shards: tuple[Shards, Shards]) -> None:
    plan, cells = of_suite("mix")
    one, two = (
        batches(shards, plan.params_of({**SMALL, **cells[0].changes, "seed": seed}, "none"))
        for seed in (1, 2)
    )
    assert [batch.keys for batch in one] != [batch.keys for batch in two]
