"""The verb: exit codes, what it writes, what it refuses to write over."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from symbio.check.run import FOUND_WRONG, run
from symbio.errors import SymbioError
from symbio.params import Params, load_params
from symbio.presets import PRESETS
from tests.check.planting import DAMAGE, nyu


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params(PRESETS / "sample.yaml")


def _json(out: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((out / "check.json").read_text())
    return loaded


def test_a_good_folder_ends_with_0_and_a_damaged_one_with_1(
    tmp_path: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = nyu(tmp_path / "raw", train=6)
    out = tmp_path / "checks" / "nyu"
    assert run(params, "nyu", tmp_path, raw=tmp_path / "raw") == 0
    assert _json(out)["fine"]
    assert "`symbio prepare nyu` can begin" in capsys.readouterr().out

    cut = DAMAGE["depth cut"][1](frames[2])
    gone = DAMAGE["image missing"][1](frames[4])
    assert run(params, "nyu", tmp_path, raw=tmp_path / "raw") == FOUND_WRONG
    told = capsys.readouterr().out
    assert cut.name in told
    assert gone.name in told
    assert "BTS" in told, "says where missing files come from"
    found = _json(out)["findings"]
    assert found["broken file"]["count"] == found["missing file"]["count"] == 1
    assert found["broken file"]["all"][0]["file"].endswith(cut.name)
    assert sorted(p.name for p in out.iterdir()) == ["check.json", "report.html"]


def test_the_page_stands_alone_and_shows_names_as_they_are(tmp_path: Path, params: Params) -> None:
    frames = nyu(tmp_path / "raw", train=6)
    DAMAGE["image cut"][1](frames[0])
    listing = tmp_path / "raw" / "nyudepthv2_train_files_with_gt.txt"
    with listing.open("a") as file:
        file.write("/<script>alert(1)</script>.jpg /x.png 518.8\n")
    run(params, "nyu", tmp_path, raw=tmp_path / "raw", out=tmp_path / "out")
    page = (tmp_path / "out/report.html").read_text()
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert set(re.findall(r'(?:src|href)="([^"]{0,22})', page)) == {"data:image/png;base64,"}
    assert "sync/scene_0000/rgb_00000.jpg" in page
    assert "Frames spread over each split" in page


def test_with_every_file_gone_there_is_still_a_report(tmp_path: Path, params: Params) -> None:
    nyu(tmp_path / "raw", train=4, test=2)
    for picture in (tmp_path / "raw").rglob("*.jpg"):
        picture.unlink()
    assert run(params, "nyu", tmp_path, raw=tmp_path / "raw") == FOUND_WRONG
    found = _json(tmp_path / "checks/nyu")["findings"]
    assert found["missing file"]["count"] == 6
    assert [one["file"] for one in found["no frames"]["all"]] == ["split train", "split test"]


def test_a_missing_folder_says_what_belongs_there_and_where_it_comes_from(
    tmp_path: Path, params: Params
) -> None:
    with pytest.raises(SymbioError) as error:
        run(params, "nyu", tmp_path, raw=tmp_path / "none")
    for said in ("no folder", "nyu_depth_v2_labeled.mat", "splits.mat", "New York University"):
        assert said in str(error.value)
    assert not (tmp_path / "checks").exists()


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path, params: Params) -> None:
    nyu(tmp_path / "raw", train=4)
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter.tex").write_text("words")
    with pytest.raises(SymbioError, match=r"thesis.*no earlier check"):
        run(params, "nyu", tmp_path, raw=tmp_path / "raw", out=other)
    assert (other / "chapter.tex").read_text() == "words"
