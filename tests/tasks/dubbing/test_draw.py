"""Pictures of a dub: nothing but the mouth is touched, and pieces show no seam."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.methods import Fit, Template
from storage.media import VideoReader
from tasks.dubbing import film as reading
from tasks.dubbing.clock import Clock
from tasks.dubbing.draw import Scene, draw_all, drawn_blocks, remembers
from tasks.dubbing.film import pictures, stretch_of
from tasks.dubbing.motion import Moving
from tasks.dubbing.spool import SpoolWriter
from tests.helpers.footage import film
from tests.helpers.painted import SIDE, PaintedConfig, PaintedSpeaker, disc

FRAMES = 75


@pytest.fixture
def video(tmp_path: Path) -> VideoReader:
    return VideoReader(film(tmp_path / "clip.mp4", seconds=3, size=(120, 96)), threads="NONE")


def scene(video: VideoReader, folder: Path, order: np.ndarray, **changes: Any) -> Scene:
    with SpoolWriter(folder / "motion.f32", 64) as spool:
        spool.append(np.repeat(np.linspace(0, 1, len(order), dtype=np.float32)[:, None], 64, 1))
    rows = torch.zeros(FRAMES, 3)
    fit = Fit(rows, rows, rows, torch.zeros(FRAMES, 27), torch.zeros(FRAMES, 64))
    template = Template(
        fit, torch.zeros(FRAMES), torch.ones(FRAMES, dtype=torch.bool), video.size[1], video.size[0], 25.0
    )
    follows = np.ones(2 * len(order), np.float32)
    moving = Moving(spool.spool, 25.0, 25.0, (), follows, np.zeros(64, np.float32))
    told = {"run": np.zeros(len(order), np.int32), "share": np.ones(len(order), np.float32), **changes}
    return Scene(video, template, order, moving=moving, **told)


def drawn(made: Scene, speaker: PaintedSpeaker, start: int = 0, stop: int | None = None) -> np.ndarray:
    speaker.meet(made.template)
    stop = len(made.order) if stop is None else stop
    return np.concatenate([np.stack(b) for _, b in drawn_blocks(made, speaker, start, stop, Clock())])


def test_every_pixel_outside_the_mask_is_the_templates_own(video: VideoReader, tmp_path: Path) -> None:
    made = scene(video, tmp_path, np.arange(FRAMES))
    got, own = drawn(made, PaintedSpeaker(PaintedConfig())), np.stack(list(video.read()))
    mask = np.zeros(own.shape[1:3], bool)
    top, left = (own.shape[1] - SIDE) // 2, (own.shape[2] - SIDE) // 2
    mask[top : top + SIDE, left : left + SIDE] = disc().numpy() > 0
    np.testing.assert_array_equal(got[:, ~mask], own[:, ~mask])
    assert (got[:, mask] != own[:, mask]).mean() > 0.5


def test_frames_without_a_share_pass_through(video: VideoReader, tmp_path: Path) -> None:
    share = np.ones(FRAMES, np.float32)
    share[20:33] = 0
    speaker = PaintedSpeaker(PaintedConfig())
    got = drawn(scene(video, tmp_path, np.arange(FRAMES), share=share), speaker)
    own = np.stack(list(video.read()))
    np.testing.assert_array_equal(got[20:33], own[20:33])
    assert not set(speaker.frames) & set(range(20, 33)), "such frames are none of the method's business"
    assert (got[:20] != own[:20]).any()


def test_any_order_is_read_right_and_never_twice_over(
    video: VideoReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_MOST_FRAMES", 10)
    own = list(video.read())
    order = np.concatenate([np.arange(5, 70), np.arange(68, 3, -1), np.full(7, 4), np.arange(5, 40)])
    painted = 0
    read = VideoReader.read

    def counting(self: VideoReader, start: int = 0, stop: int | None = None) -> Any:
        nonlocal painted
        for picture in read(self, start, stop):
            painted += 1
            yield picture

    monkeypatch.setattr(VideoReader, "read", counting)
    got = list(pictures(video, order))
    assert all((a == own[n]).all() for a, n in zip(got, order, strict=True))
    assert len(got) == len(order)
    assert painted <= len(order), "frames are painted more often than they are shown"


def test_large_pictures_are_held_by_the_few() -> None:
    assert stretch_of((256, 256)) == 25
    assert 4 <= stretch_of((3840, 2160)) < 8


def test_a_speaker_with_a_memory_is_found_out(video: VideoReader, tmp_path: Path) -> None:
    made = scene(video, tmp_path, np.arange(FRAMES))
    assert not remembers(made, PaintedSpeaker(PaintedConfig()), 40)[0]
    assert remembers(made, PaintedSpeaker(PaintedConfig(trail=2)), 40)[0]


def test_pieces_show_no_seam(video: VideoReader, tmp_path: Path) -> None:
    made = scene(video, tmp_path, np.arange(FRAMES), lossless=True, warm_up=10)
    assert len(made.pieces()) >= 3
    config = PaintedConfig(trail=4)
    parts = draw_all(
        made, tmp_path, lambda: PaintedSpeaker(config), workers=2, clock=Clock(), step=lambda n: None
    )
    straight = drawn(made, PaintedSpeaker(config))
    got = np.concatenate([np.stack(list(VideoReader(part).read())) for part in parts])
    assert got.shape == straight.shape
    # Coding is without loss; what is left is the way from RGB to stored colours and back.
    assert np.abs(got.astype(int) - straight)[..., 1].mean() < 2.0
    middle = got.shape[1] // 2, got.shape[2] // 2
    curve = got[:, middle[0], middle[1], 1].astype(int)
    assert np.abs(curve - straight[:, middle[0], middle[1], 1]).max() <= 4


def test_finished_pieces_are_not_drawn_again(video: VideoReader, tmp_path: Path) -> None:
    made, told = scene(video, tmp_path, np.arange(FRAMES)), []
    speakers: list[PaintedSpeaker] = []

    def new_speaker() -> PaintedSpeaker:
        speakers.append(PaintedSpeaker(PaintedConfig()))
        return speakers[-1]

    draw_all(made, tmp_path, new_speaker, workers=1, clock=Clock(), step=told.append)
    paths = draw_all(made, tmp_path, new_speaker, workers=1, clock=Clock(), step=told.append)
    (gone := paths[1]).unlink()
    draw_all(made, tmp_path, new_speaker, workers=1, clock=Clock(), step=told.append)
    start, stop = made.pieces()[1]
    assert gone.exists()
    assert sorted(speakers[-1].frames) == list(range(start, stop))
    assert sum(told) == 3 * FRAMES


def test_pieces_depend_on_the_length_alone(video: VideoReader, tmp_path: Path) -> None:
    for frames, count in ((1, 1), (5, 1), (200, 8), (1000, 10), (90_000, 900)):
        order = np.zeros(frames, np.int64)
        found = scene(video, tmp_path, order).pieces()
        assert len(found) == count
        assert found[0][0] == 0
        assert found[-1][1] == frames
        assert all(a[1] == b[0] for a, b in itertools.pairwise(found))
    assert Fraction(25) == video.rate
