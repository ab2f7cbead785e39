from __future__ import annotations

import numpy as np
import pytest
import torch

from symbio.data.frame import Batch
from symbio.data.mixing.apply import apply_mix, mix_rng, mixes, partner_position
from symbio.data.mixing.registry import MIXES
from symbio.errors import SymbioError
from tests.data.mixing_cases import equal, frames, params

SEED, EPOCH = 5, 2


def fresh(rows: range) -> list[np.random.Generator]:
    return [mix_rng(SEED, EPOCH, position) for position in rows]


def pair(num: int = 12) -> tuple[Batch, Batch]:
    return frames(0, (10, 12), num, 0.5, ties=False), frames(1, (10, 12), num, 0.5, parity=1)


@pytest.mark.parametrize("name", MIXES)
def test_only_drawn_frames_are_mixed_and_a_loader_knows_which(name: str) -> None:
    own, partner = pair()
    p = params(mix=name, probability=0.4)
    result = apply_mix(own, partner, fresh(range(12)), p)
    everything = apply_mix(own, partner, fresh(range(12)), p.model_copy(update={"probability": 1}))
    drawn = [mixes(SEED, EPOCH, position, 0.4) for position in range(12)]
    assert 0 < sum(drawn) < 12
    for row, is_mixed in enumerate(drawn):
        part = slice(row, row + 1)
        expected = everything[part] if is_mixed else own[part]
        assert equal(result[part], expected)
        assert result.keys[row] == expected.keys[0]
        assert ("+" in result.keys[row]) == is_mixed


def test_partners_that_are_not_needed_are_not_looked_at() -> None:
    own, partner = pair()
    p = params(probability=0.4)
    needed = torch.tensor([mixes(SEED, EPOCH, position, 0.4) for position in range(12)])
    rubbish = Batch(
        torch.where(needed[:, None, None, None], partner.image, 77),
        torch.where(needed[:, None, None], partner.depth, torch.nan),
        torch.where(needed[:, None, None], partner.semantic, 200),
        torch.where(needed[:, None, None], partner.confidence, 9),
        partner.keys,
    )
    assert equal(
        apply_mix(own, rubbish, fresh(range(12)), p), apply_mix(own, partner, fresh(range(12)), p)
    )


@pytest.mark.parametrize("rows", [1, 3, 5])
def test_the_batch_split_does_not_matter(rows: int) -> None:
    own, partner = pair()
    p = params(probability=0.5)
    whole = apply_mix(own, partner, fresh(range(12)), p)
    for start in range(0, 12, rows):
        part = slice(start, start + rows)
        split = apply_mix(own[part], partner[part], fresh(range(12))[part], p)
        assert equal(split, whole[part])
        assert split.keys == whole.keys[part]


def test_probability_and_none() -> None:
    own, partner = pair(40)
    rows = range(40)
    never = apply_mix(own, partner, fresh(rows), params(probability=0.0))
    assert never.keys == own.keys
    assert equal(never, own)
    always = apply_mix(own, partner, fresh(rows), params(probability=1.0))
    assert all("+" in key for key in always.keys)
    none = apply_mix(own, partner, fresh(rows), params(mix="none", probability=1.0))
    assert none.keys == own.keys
    assert equal(none, own)


def test_the_share_of_mixed_frames_is_the_probability() -> None:
    drawn = [mixes(0, epoch, position, 0.3) for epoch in range(4) for position in range(500)]
    assert abs(np.mean(drawn) - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 2000)


def test_the_source_is_left_as_it_is() -> None:
    own, partner = pair()
    apply_mix(own, partner, fresh(range(12)), params(probability=0.5))
    again, again_partner = pair()
    assert equal(own, again)
    assert equal(partner, again_partner)


def test_partners_are_the_next_of_the_global_batch() -> None:
    assert [partner_position(position, 4) for position in range(8, 12)] == [9, 10, 11, 8]
    assert partner_position(5, 1) == 5


def test_an_unknown_mix_is_named_with_those_there_are() -> None:
    own, partner = pair(1)
    with pytest.raises(SymbioError, match=r"nearfarmix\.mix: no mix 'cutmixx'.*none, nearfarmix"):
        apply_mix(own, partner, fresh(range(1)), params(mix="cutmixx"))
