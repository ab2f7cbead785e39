"""Only what was measured alike is compared."""

from __future__ import annotations

import pytest

from symbio.compare.alike import measured_alike
from symbio.errors import SymbioError
from tests.compare.sides import subject

NEW, OLD = {"data_sha256": "e" * 64}, {"data_sha256": "d" * 64}


def test_the_newest_measurements_that_all_share() -> None:
    found = measured_alike([subject("a", NEW, OLD), subject("b", OLD), subject("c", NEW, OLD)])
    assert [one.metrics["data_sha256"][0] for one in found.measurements] == ["d", "d", "d"]
    both = measured_alike([subject("a", NEW, OLD), subject("b", OLD, NEW)])
    assert [one.metrics["data_sha256"][0] for one in both.measurements] == ["e", "e"]
    assert both.classes


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (NEW, "data_sha256"),
        ({"protocol": "none"}, r"protocol \('nyu-eigen' and 'none'\)"),
        ({"num_images": 4, "split_sha256": "6" * 64}, r"split_sha256.*num_images"),
    ],
)
def test_what_differs_is_named(changed: dict[str, object], named: str) -> None:
    with pytest.raises(SymbioError, match=named) as caught:
        measured_alike([subject("a", {}), subject("b", changed)])
    assert "runs:/a and runs:/b cannot be compared" in str(caught.value)
    assert caught.value.exit_code == 2


def test_other_classes_leave_depth() -> None:
    found = measured_alike([subject("a", {}), subject("b", {"label_space": "nyu13"})])
    assert not found.classes


def test_another_data_set_is_refused() -> None:
    with pytest.raises(SymbioError, match="of nyu, runs:/b of kitti"):
        measured_alike([subject("a", {}), subject("b", {}, dataset="kitti")])
