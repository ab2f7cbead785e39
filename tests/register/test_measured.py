"""What a network costs to use is measured in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from symbio.register.measured import measured_apart
from tests.examined_once import examined_once
from tests.tiny_model import put_model


def test_each_case_has_its_times(tmp_path: Path) -> None:
    found = examined_once(put_model(tmp_path / "model"), tmp_path).measured
    assert found is not None
    assert {size: set(times) for size, times in found["picture_ms"].items()} == {
        "640x480": {"1"},
        "96x64": {"1", "8"},
    }
    for times in found["picture_ms"].values():
        for one in times.values():
            assert 0 < one["median"] <= one["p90"]
            assert one["runs"] >= 3
    assert 200 < found["peak_rss_mib"] < 8000
    assert found["load_s"] > 0
    assert found["threads"] >= 1


@pytest.mark.slow
def test_a_network_that_cannot_be_read_is_not_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measured_apart(tmp_path) is None
    assert "model.json: no such file" in capsys.readouterr().err
