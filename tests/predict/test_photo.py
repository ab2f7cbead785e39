"""Users' pictures: every kind that a camera or an editor writes, and those to refuse."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from symbio.errors import SymbioError
from symbio.predict.photo import decode_photo, find_photos

PICTURE = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


def png(path: Path, array: np.ndarray, mode: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array, mode).save(path)
    return path


def test_rgb_stays_what_it_is(tmp_path: Path) -> None:
    assert np.array_equal(decode_photo(png(tmp_path / "a.png", PICTURE)), PICTURE)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photograph_comes_upright(tmp_path: Path, orientation: int) -> None:
    # EXIF 2.3, tag 274: where row 0 and column 0 of the stored picture are on the upright one.
    turn_back = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / "a.png"
    Image.fromarray(np.ascontiguousarray(turn_back(PICTURE))).save(path, exif=exif)
    assert np.array_equal(decode_photo(path), PICTURE)
    assert find_photos([path])[0].size == PICTURE.shape[:2]


def test_grey_becomes_rgb(tmp_path: Path) -> None:
    grey = PICTURE[..., 0]
    decoded = decode_photo(png(tmp_path / "a.png", grey))
    assert np.array_equal(decoded, np.repeat(grey[..., None], 3, axis=2))


def test_a_palette_becomes_its_colours(tmp_path: Path) -> None:
    four = np.array([[0, 1], [2, 3]], np.uint8)
    image = Image.fromarray(four).convert("P")
    colours = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120]
    image.putpalette(colours)
    image.save(tmp_path / "a.png")
    assert decode_photo(tmp_path / "a.png").ravel().tolist() == colours


def test_transparent_pixels_lie_on_black(tmp_path: Path) -> None:
    alpha = np.full((6, 9, 1), 255, np.uint8)
    alpha[0] = 0
    decoded = decode_photo(png(tmp_path / "a.png", np.concatenate([PICTURE, alpha], axis=2)))
    assert np.array_equal(decoded[1:], PICTURE[1:])
    assert not decoded[0].any()


def test_a_depth_map_is_no_photograph(tmp_path: Path) -> None:
    path = png(tmp_path / "depth.png", np.full((4, 4), 5000, np.uint16))
    with pytest.raises(SymbioError, match=r"depth\.png.*16-bit"):
        decode_photo(path)


def test_depth_maps_among_the_pictures_of_a_folder_are_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    png(tmp_path / "kitchen" / "rgb_00001.png", PICTURE)
    for number in (1, 2):
        depth = np.full((6, 9), 5000, np.uint16)
        png(tmp_path / "kitchen" / f"sync_depth_{number:05d}.png", depth)
    assert [photo.name for photo in find_photos([tmp_path])] == ["kitchen/rgb_00001"]
    assert re.search(r"2 depth maps.*first kitchen/sync_depth_00001\.png", capsys.readouterr().err)
    (tmp_path / "kitchen/rgb_00001.png").unlink()
    with pytest.raises(SymbioError, match="holds no picture.*only 2 depth maps"):
        find_photos([tmp_path])


def test_cmyk_is_refused_with_what_to_do(tmp_path: Path) -> None:
    Image.fromarray(PICTURE).convert("CMYK").save(tmp_path / "print.jpg")
    with pytest.raises(SymbioError, match=r"print\.jpg.*CMYK.*convert"):
        decode_photo(tmp_path / "print.jpg")


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_truncated_picture_is_refused(tmp_path: Path, ending: str) -> None:
    buffer = io.BytesIO()
    large = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(large).save(buffer, "JPEG" if ending == "jpg" else "PNG")
    path = tmp_path / f"cut.{ending}"
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    with pytest.raises(SymbioError, match=path.name):
        decode_photo(path)


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "note.jpg").write_text("hello")
    with pytest.raises(SymbioError, match=r"note\.jpg"):
        find_photos([tmp_path / "note.jpg"])


def test_a_missing_and_an_empty_place_are_named(tmp_path: Path) -> None:
    with pytest.raises(SymbioError, match=r"gone.*no such file"):
        find_photos([tmp_path / "gone"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SymbioError, match=r"empty.*holds no picture"):
        find_photos([tmp_path / "empty"])


def test_folders_are_searched_and_equal_names_told_apart(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "deep er/ü.PNG", ".hidden/x.png"):
        png(tmp_path / "in" / name, PICTURE)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    names = {photo.name for photo in find_photos([tmp_path / "in"])}
    assert names == {"a.png", "a.jpg", "deep er/ü"}


def test_two_pictures_of_one_name_are_refused(tmp_path: Path) -> None:
    one, two = png(tmp_path / "1" / "a.png", PICTURE), png(tmp_path / "2" / "a.png", PICTURE)
    with pytest.raises(SymbioError, match="both be written"):
        find_photos([one, two])
    assert len(find_photos([one, one])) == 1
