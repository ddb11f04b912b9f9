"""What is drawn, on stored planes: colours as by way of RGB, and nothing else changed."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from models.methods import Drawn, Fit
from storage.media import Colours, MediaWriter, VideoReader, split
from tasks.dubbing.planes import head_box, in_colour, lay
from tests.helpers.pasted import paste

SIZE, SIDE, COUNT = (192, 128), 48, 4


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Smooth fields of strong colour, which move."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]] / 20
    with MediaWriter(tmp_path / "clip.mp4", SIZE, Fraction(25), crf=4) as film:
        for n in range(COUNT):
            waves = np.stack([np.sin(x + n), np.cos(y - n), np.sin(x - y)], -1)
            film.write_frame((127 + 110 * waves).astype(np.uint8))
    return tmp_path / "clip.mp4"


def planes_of(path: Path) -> list[np.ndarray]:
    return list(VideoReader(path, form="yuv420p"))


def drawn(turn: float = 0.3, scale: float = 1.4, at: tuple[float, float] = (61.3, 40.7)) -> Drawn:
    """Smooth patches, their alpha a soft disc, turned and enlarged."""
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    place = torch.tensor([[c, -s, at[0]], [s, c, at[1]]], dtype=torch.float32).expand(COUNT, 2, 3)
    x = torch.linspace(20, 230, SIDE).expand(SIDE, SIDE)
    patch = torch.stack([x, x.T, 255 - x], -1).to(torch.uint8)
    d = torch.arange(SIDE) + 0.5 - SIDE / 2
    alpha = ((SIDE / 2 - 3 - (d[:, None] ** 2 + d**2).sqrt()) / 6).clamp(0, 1)
    return Drawn(patch.expand(COUNT, -1, -1, -1), place, alpha.expand(COUNT, -1, -1))


def test_a_box_has_the_colours_of_the_whole(clip: Path) -> None:
    colours = Colours()
    for whole, rgb in zip(planes_of(clip), VideoReader(clip), strict=True):
        np.testing.assert_array_equal(colours.of(whole), rgb)
        for left, top, right, bottom in ((0, 0, 40, 60), (30, 22, 96, 90), (150, 100, 192, 128)):
            box = colours.of(whole, (left, top, right, bottom))
            np.testing.assert_array_equal(box, rgb[top:bottom, left:right])
        assert np.abs(colours.rough(whole).astype(int) - rgb).mean() < 3
    with pytest.raises(ValueError, match="odd corners"):
        colours.of(planes_of(clip)[0], (1, 0, 41, 60))


def test_it_looks_as_if_pasted_in_rgb(clip: Path) -> None:
    block, one = planes_of(clip), drawn()
    wanted = paste(torch.from_numpy(np.stack(list(VideoReader(clip)))), *one).numpy().astype(int)
    laid, colours = lay(block, one), Colours()
    got = np.stack([colours.of(planes) for planes in laid]).astype(int)
    # Colours at half the resolution are all that is lost.
    assert np.abs(got - wanted).mean() < 0.5
    assert np.percentile(np.abs(got - wanted), 99.9) < 20
    assert np.abs(got - np.stack(list(VideoReader(clip)))).mean() > 5, "nothing was drawn"


def reach_of(one: Drawn) -> np.ndarray:
    """Pixels (H, W) between whose four nearest canvas pixels there is one with some alpha."""
    matrix, alpha = one.places[0].numpy().astype(float), np.pad(one.alpha[0].numpy() > 0, 2)
    pixels = np.stack(np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1])), -1) + 0.5
    canvas = (pixels - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T - 0.5
    found = np.zeros(SIZE[::-1], bool)
    # A little to each side: pixels that lie on a canvas pixel all but exactly may fall either way.
    for dx, dy in itertools.product((-1e-3, 1 + 1e-3), repeat=2):
        x, y = (np.floor(canvas + np.array((dx, dy))).astype(int).clip(-2, SIDE + 1) + 2).transpose(2, 0, 1)
        found |= alpha[y, x]
    return found


@pytest.mark.parametrize("at", [(61.3, 40.7), (-30.0, -20.5), (150.0, 110.0), (-200.0, 0.0)])
def test_where_alpha_is_nothing_no_byte_changes(clip: Path, at: tuple[float, float]) -> None:
    block, one = planes_of(clip), drawn(at=at)
    before = [planes.copy() for planes in block]
    mask = reach_of(one)
    for fresh, own in zip(lay(block, one), before, strict=True):
        quarter = mask.reshape(SIZE[1] // 2, 2, SIZE[0] // 2, 2).all((1, 3))
        for plane, under, allowed in zip(split(fresh), split(own), (mask, quarter, quarter), strict=True):
            np.testing.assert_array_equal(plane[~allowed], under[~allowed])
    np.testing.assert_array_equal(block, before)


def fit_at(x: float, depth: float, focal: float = 1500.0) -> Fit:
    rows = torch.zeros(COUNT, 3)
    camera = torch.tensor([[focal, 960.0, 540.0]]).expand(COUNT, 3)
    translation = torch.tensor([[x, 0.0, depth]]).expand(COUNT, 3)
    return Fit(rows, translation, camera, torch.zeros(COUNT, 27), torch.zeros(COUNT, 64))


def test_true_colours_are_computed_around_a_small_head_alone(clip: Path) -> None:
    left, top, right, bottom = head_box(fit_at(0, 3000), 1920, 1080) or (0, 0, 0, 0)
    assert left % 2 == top % 2 == right % 2 == bottom % 2 == 0
    assert right - left == pytest.approx(2 * 160 * 1500 / 3000, abs=4)
    assert (left + right) / 2 == pytest.approx(960, abs=3)
    assert head_box(fit_at(0, 300), 1920, 1080) is None, "a close-up"
    edge = head_box(fit_at(-1900, 3000), 1920, 1080)
    assert edge is not None
    assert edge[0] == 0
    assert head_box(fit_at(0, float("nan")), 1920, 1080) is None
    block, rgb = planes_of(clip), np.stack(list(VideoReader(clip)))
    got = in_colour(block, (40, 30, 100, 90), Colours()).numpy()
    np.testing.assert_array_equal(got[:, 30:90, 40:100], rgb[:, 30:90, 40:100])
    assert 0 < np.abs(got.astype(int) - rgb).mean() < 3
    np.testing.assert_array_equal(in_colour(block, None, Colours()).numpy(), rgb)
