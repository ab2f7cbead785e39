"""The model card says what was measured, and how to use the model."""

from __future__ import annotations

from symbio.register.card import model_card, scores_table, summary

CARD = {
    "dataset": "kitti",
    "model": {
        "encoder": "maxvit_base_tf_384",
        "pretrained": True,
        "semantics": True,
        "symbiosis": {"exchange": "both"},
    },
    "image_size": [352, 1216],
    "depth_range": [0.001, 80.0],
    "parameters": 120_000_000,
    "weights_sha256": "ab" * 32,
}
METRICS = {
    "protocol": "kitti-eigen-garg-kb",
    "num_images": 652,
    "split": "test",
    "trained": {"abs_rel": 0.0512345, "rmse": None, "d1": 0.97},
    "constant": {"abs_rel": 0.4},
}


def test_scores_stand_beside_what_they_are_compared_with() -> None:
    assert scores_table(METRICS).splitlines() == [
        "| metric | better | trained | constant |",
        "|---|---|---|---|",
        "| abs_rel | lower | 0.05123 | 0.4 |",
        "| d1 | higher | 0.97 |  |",
    ]


def test_the_card_names_protocol_data_limits_terms_and_use() -> None:
    lineage = {"symbio.data.data/prepared/kitti": "0123.dir", "symbio.git_commit": "c0ffee"}
    text = model_card("symbio-kitti", CARD, METRICS, lineage)
    for part in (
        "# symbio-kitti", "120.00 M parameters", "1216x352", "`kitti-eigen-garg-kb` on 652 images",
        "0123.dir", "c0ffee", "0.001 and 80 m", "CC BY-NC-SA 3.0", "maxvit_base_tf_384` weights",
        "models:/symbio-kitti@candidate", "ab" * 32,
    ):  # fmt: skip
        assert part in text


def test_the_summary_is_short() -> None:
    assert summary(CARD, METRICS).endswith(
        "kitti-eigen-garg-kb, 652 images: abs_rel 0.05123, d1 0.97"
    )
