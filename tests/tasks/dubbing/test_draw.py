"""Pictures of a dub: nothing but the mouth is touched, and pieces show no seam."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.methods import Fit, Template
from storage.media import MediaWriter, VideoReader, split
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
    path = film(tmp_path / "clip.mp4", seconds=3, size=(120, 96))
    return VideoReader(path, form="yuv420p", threads="NONE")


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


def masks_of(size: tuple[int, int]) -> list[np.ndarray]:
    """Where the disc may change brightness (H, W), and colours (H / 2, W / 2): all four pixels under it."""
    whole = np.zeros((size[1], size[0]), bool)
    top, left = (size[1] - SIDE) // 2, (size[0] - SIDE) // 2
    whole[top : top + SIDE, left : left + SIDE] = disc().numpy() > 0
    quarter = whole.reshape(size[1] // 2, 2, size[0] // 2, 2).all((1, 3))
    return [whole, quarter, quarter]


def check_untouched(got: Iterable[np.ndarray], own: Iterable[np.ndarray], size: tuple[int, int]) -> None:
    for fresh, template in zip(got, own, strict=True):
        for plane, under, mask in zip(split(fresh), split(template), masks_of(size), strict=True):
            np.testing.assert_array_equal(plane[~mask], under[~mask])
        changed = split(fresh)[0] != split(template)[0]
        assert changed[masks_of(size)[0]].mean() > 0.5


def test_what_goes_to_the_coder_is_the_templates_own_outside_the_mask(
    video: VideoReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: dict[str, list[np.ndarray]] = {}
    write = MediaWriter.write_planes

    def writing(self: MediaWriter, planes: np.ndarray) -> None:
        sent.setdefault(self.path.name, []).append(planes.copy())
        write(self, planes)

    monkeypatch.setattr(MediaWriter, "write_planes", writing)
    order = np.concatenate([np.arange(40), np.arange(40, 20, -1)])
    made = scene(video, tmp_path, order)
    config = PaintedConfig()
    draw_all(made, tmp_path, lambda: PaintedSpeaker(config), workers=2, clock=Clock(), step=lambda n: None)
    got = [planes for name in sorted(sent) for planes in sent[name]]
    check_untouched(got, pictures(video, order), video.size)


def test_without_loss_the_film_is_the_template_outside_the_mask(video: VideoReader, tmp_path: Path) -> None:
    made = scene(video, tmp_path, np.arange(FRAMES), lossless=True)
    config = PaintedConfig()
    parts = draw_all(
        made, tmp_path, lambda: PaintedSpeaker(config), workers=1, clock=Clock(), step=lambda n: None
    )
    got = [planes for part in parts for planes in VideoReader(part, form="yuv420p")]
    np.testing.assert_array_equal(got, drawn(made, PaintedSpeaker(config)))
    check_untouched(got, video.read(), video.size)


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
    got = [planes for part in parts for planes in VideoReader(part, form="yuv420p")]
    np.testing.assert_array_equal(got, straight)


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
