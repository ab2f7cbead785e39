"""A version's tree: what it was made of, each with its whole hash; what is missing is said."""

from __future__ import annotations

import dataclasses

from symbio.lineage.history import Decision, Evaluation
from symbio.lineage.origin import Origin
from symbio.lineage.printed import print_tree
from symbio.lineage.tree import VERSION, Tree, short, tree_of
from tests.lineage.records import (
    COMMIT,
    LABELS,
    METRICS,
    PREPARED,
    RAW,
    TAGS,
    TRAINED,
    WEIGHTS,
    history,
    record,
)


def ancestors(tree: Tree, key: str) -> set[str]:
    return {key}.union(*(ancestors(tree, one) for one in tree.nodes[key].sources))


def told(tree: Tree, key: str) -> str:
    return " | ".join(tree.nodes[key].details)


def test_everything_a_version_was_made_of_is_below_it() -> None:
    tree = tree_of(record(), history())
    assert {key: node.identity for key, node in tree.nodes.items()} == {
        "raw": RAW,
        "prepared": PREPARED,
        "teacher": "8" * 64,
        "labels": LABELS,
        "code": COMMIT,
        "params": "b" * 64,
        "environment": "9" * 64,
        "training": WEIGHTS,
        "evaluation": "f" * 64,
        "version": "",
    }
    assert ancestors(tree, VERSION) == tree.nodes.keys()
    assert ancestors(tree, "labels") == {"labels", "prepared", "raw", "teacher"}
    assert not {"labels", "training"} & ancestors(tree, "params")
    assert told(tree, "raw") == "data/raw/nyu | 12 files, 3.0 MiB"
    assert told(tree, "teacher") == "builtin:sample"
    assert "2023-11-14 22:13 UTC, 90 s" in told(tree, "training")
    assert "node-a · 2 x GPU | 2 ranks, 4 threads each, seed 7" in told(tree, "training")
    assert told(tree, "evaluation") == (
        "nyu-eigen, test split | 64 frames, list 555555555555 | abs_rel 0.1234"
    )


def test_sources_stand_before_what_is_made_of_them() -> None:
    seen: set[str] = set()
    for key, node in tree_of(record(), history()).nodes.items():
        assert seen.issuperset(node.sources)
        seen.add(key)


def test_uncommitted_changes_are_told_and_whether_they_were_kept() -> None:
    tags = {**TAGS, "symbio.git_dirty": "true", "symbio.git_diff_sha256": "a" * 64}
    kept = told(tree_of(record(tags, diff="--- a"), history()), "code")
    lost = told(tree_of(record(tags), history()), "code")
    assert "uncommitted changes aaaaaaaaaaaa" in kept
    assert "not kept" not in kept
    assert "not kept" in lost


def test_what_dvc_does_not_know_or_has_seen_change_is_said() -> None:
    tags = {
        **TAGS,
        "symbio.data.data/raw/nyu": "not in DVC",
        "symbio.data.data/prepared/nyu": f"{'3' * 32}.dir (stale)",
        "symbio.data.data/pseudo/nyu": "not in DVC",
        "symbio.index.data/pseudo/nyu": "4" * 64,
    }
    tree = tree_of(record(tags), history())
    assert (tree.nodes["raw"].identity, told(tree, "raw")) == ("", "data/raw/nyu | not in DVC")
    assert told(tree, "labels").endswith("not in DVC; its index is 444444444444")
    assert tree.nodes["prepared"].identity == "3" * 32 + ".dir"
    # The size in dvc.lock is that of another content.
    assert told(tree, "prepared") == "data/prepared/nyu | changed after DVC had hashed it"


def test_a_model_trained_elsewhere_claims_no_code_of_this_place() -> None:
    run = dataclasses.replace(TRAINED, stage="register")
    tree = tree_of(record(), history(run=run))
    assert told(tree, "training") == "trained elsewhere"
    assert ancestors(tree, "training") == {"training", "prepared", "labels", "raw", "teacher"}
    assert {"code", "params", "environment"} <= set(tree.nodes[VERSION].sources)


def test_a_version_of_which_nothing_is_known_has_a_tree_that_says_so() -> None:
    bare = record({}, lineage={"git": {"commit": None}, "params": {}}, dvc_lock={}, metrics={})
    tree = tree_of(bare, history(run=None), "its run has no lineage.json")
    assert told(tree, "training") == "no run in this store"
    assert told(tree, "prepared") == "data/prepared/nyu | not in DVC"
    assert told(tree, "code") == "no commit is known"
    assert told(tree, "evaluation") == "its scores were not kept"
    assert "lineage.json" in told(tree, VERSION)


def test_the_search_that_found_the_params_stands_before_the_training() -> None:
    origin = Origin("nyu-wide", "11", ("its params are the training's",), "cd" * 16, None)
    tree = tree_of(record(), history(origin=origin))
    assert {"trial", "study"} <= ancestors(tree, "training")
    assert told(tree, "study") == "nyu-wide"
    assert told(tree, "trial").startswith("number 11 | its params")


def test_what_happened_since_follows_the_version() -> None:
    evaluation = Evaluation("val", "none", "7" * 64, ("abs_rel 0.2",), "cd" * 16, None)
    decision = Decision("refused", "2026-01-02T03:04:05.678+00:00", ("no gain",))
    tree = tree_of(record(), history(evaluations=(evaluation,), decisions=(decision,)))
    first, second = tree.since()
    assert (tree.nodes[first].identity, told(tree, first)) == (
        "7" * 64,
        "none, val split | abs_rel 0.2",
    )
    assert told(tree, second) == "refused | 2026-01-02 03:04 UTC | no gain"
    assert not set(tree.since()) & ancestors(tree, VERSION)


def test_an_unknown_protocol_is_told_without_a_headline() -> None:
    odd = {**METRICS, "protocol": "house rules"}
    assert "abs_rel" not in told(tree_of(record(metrics=odd), history()), "evaluation")


def test_names_are_not_cut_as_hashes_are() -> None:
    assert short("e" * 64) == "e" * 12
    assert short(RAW) == RAW[:12]
    assert short("not in DVC at all, as it seems here") == "not in DVC at all, as it seems here"


def test_printed_each_is_told_once_in_full(capsys: object) -> None:
    print_tree(tree_of(record(), history()))
    text = capsys.readouterr().out  # type: ignore[attr-defined]
    assert text.splitlines()[0].startswith("version  models:/symbio-nyu/3")
    assert text.count("12 files") == 1
    assert text.count("see above") == 3
    for part in (COMMIT[:12], WEIGHTS[:12], RAW[:12], f"run {TRAINED.run_id}"):
        assert part in text
