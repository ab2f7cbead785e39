"""The model card says what was measured, where it ends, and how to use the model."""

from __future__ import annotations

import base64
import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from symbio.evaluate.paired import Interval
from symbio.register.card import (
    DESCRIPTION_LIMIT,
    Facts,
    card_page,
    card_text,
    description_of,
    scores_table,
)

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
    "trained": {"abs_rel": 0.0512345, "rmse": None, "d1": 0.97, "num_images_with_nan": 0},
    "constant": {"abs_rel": 0.4},
}
INTERVALS = {"abs_rel": Interval(0.04911, 0.05377, 0.0512345, 652)}
MEASURED = {
    "device": "CPU",
    "threads": 2,
    "load_s": 1.25,
    "peak_rss_mib": 512,
    "picture_ms": {"1216x352": {"1": {"median": 84.1, "p90": 91.7, "runs": 20}}},
}
FACTS = Facts(
    name="symbio-kitti",
    card=CARD,
    metrics=METRICS,
    lineage={"symbio.data.data/prepared/kitti": "0123.dir", "symbio.git_commit": "c0ffee"},
    measured=MEASURED,
    onnx="checked, max rel. difference 3e-06",
    intervals=INTERVALS,
)


def test_scores_stand_beside_what_they_are_compared_with() -> None:
    table = scores_table(METRICS, {})
    assert table.head == ["metric", "better", "trained", "constant"]
    assert table.rows == [
        ["abs_rel", "lower", "0.05123", "0.4"],
        ["d1", "higher", "0.97", ""],
        ["num_images_with_nan", "", "0", ""],
    ]


def test_the_interval_of_a_score_stands_beside_it() -> None:
    table = scores_table(METRICS, INTERVALS)
    assert table.head == ["metric", "better", "trained", "95 %", "constant"]
    assert table.rows[0] == ["abs_rel", "lower", "0.05123", "0.04911 to 0.05377", "0.4"]
    assert table.rows[1] == ["d1", "higher", "0.97", "", ""]


def test_the_card_names_protocol_data_limits_terms_cost_and_use() -> None:
    text = card_text(FACTS)
    for part in (
        "# symbio-kitti", "120.00 M parameters", "1216x352", "kitti-eigen-garg-kb on 652 images",
        "data/prepared/kitti: 0123.dir", "git_commit: c0ffee", "0.001 and 80 m", "ab" * 32,
        "CC BY-NC-SA 3.0", "maxvit_base_tf_384 weights", "512 MiB",
        "| 1216x352 | 1 | 84.1 | 91.7 |",
        "symbio predict models:/symbio-kitti/VERSION", "symbio demo", "symbio fetch",
        "mlflow models serve", "mlflow.pyfunc.load_model", "onnxruntime.InferenceSession",
        "max rel. difference 3e-06", "drawn with return 10000 times (seed 0)",
    ):  # fmt: skip
        assert part in text


def test_what_there_is_not_is_not_promised() -> None:
    depth_only = {**CARD, "model": {**CARD["model"], "semantics": False, "pretrained": False}}
    facts = dataclasses.replace(
        FACTS, card=depth_only, measured=None, onnx="none: too large", intervals={}
    )
    text = card_text(facts)
    assert "Not measured." in text
    assert "ONNX: none: too large." in text
    for part in ("onnxruntime", "semantic", "## Classes", "95 %", "terms of their own"):
        assert part not in text


def test_the_description_keeps_what_matters_and_fits_into_mlflow() -> None:
    full = dataclasses.replace(FACTS, lineage={f"symbio.{n}": "x" * 200 for n in range(40)})
    assert len(card_text(full)) > 2 * DESCRIPTION_LIMIT
    text = description_of(full)
    assert len(text) <= DESCRIPTION_LIMIT
    assert text.endswith("MODEL_CARD.html, in the artifacts of the version's model.\n")
    for part in ("## Scores", "## Limits", "## Terms", "## Use"):
        assert part in text
    # Cut between sections: whatever is begun is whole.
    sections = re.split(r"\n(?=## )", card_text(full))
    assert text.removesuffix(text[text.index("\n\nThe rest") :]).endswith(
        next(one for one in reversed(sections) if one.strip() in text).strip()
    )


def test_a_short_card_is_its_own_description() -> None:
    depth_only = {**CARD, "model": {**CARD["model"], "semantics": False}}
    facts = dataclasses.replace(FACTS, card=depth_only)
    assert card_text(facts) == f"# symbio-kitti\n\n{description_of(facts)}"


def test_one_section_that_is_too_long_is_cut_too() -> None:
    card = {**CARD, "model": {**CARD["model"], "encoder": "e" * 9000}}
    assert len(description_of(dataclasses.replace(FACTS, card=card))) <= DESCRIPTION_LIMIT


class _Page(HTMLParser):
    """What a browser would load, and the tags."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_has_the_pictures_and_needs_no_other_file(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (8, 10, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "0123456789ab.png")
    hostile = dataclasses.replace(FACTS, lineage={"symbio.host": "<script>alert(1)</script>"})
    text = card_page(hostile, tmp_path)
    page = _Page()
    page.feed(text)
    assert "script" not in page.tags
    (source,) = page.loaded
    head, data = source.split(",")
    assert head == "data:image/png;base64"
    (tmp_path / "copy.png").write_bytes(base64.b64decode(data))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "copy.png")), picture)
    assert text.index("Scores</h2>") < text.index("frame 0123456789ab") < text.index("Limits</h2>")


def test_without_pictures_the_page_is_whole_all_the_same(tmp_path: Path) -> None:
    assert "Pictures</h2>" not in card_page(FACTS, tmp_path / "none")


@pytest.mark.parametrize("value", ["<img src=x onerror=alert(1)>", "two\nlines\n# heading"])
def test_a_name_does_not_become_markdown(value: str) -> None:
    text = card_text(dataclasses.replace(FACTS, lineage={"symbio.host": value}))
    assert "<img" not in text
    assert "\n# heading" not in text
