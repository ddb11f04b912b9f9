"""Faces are found where they are, followed, and missing where they are not; blocks do not know each other."""

from __future__ import annotations

from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from storage.errors import WeightsError
from storage.media import normalise
from tasks._finding import _windows
from tasks._pictures import crop, split
from tasks.faces import FacesStage
from tasks.threads import one_thread
from tests.tasks.tracked_films import Acted, act, rows_of, turned, write

BLANK = slice(20, 28)


@pytest.fixture(scope="module")
def anna() -> Acted:
    return act(2, 60)


@pytest.fixture(scope="module")
def ben() -> Acted:
    return act(5, 60, speaks=False)


def test_landmarks_are_where_they_are(anna: Acted, tmp_path: Path) -> None:
    rows = rows_of(FacesStage(write(tmp_path / "anna.mp4", anna.pictures)))
    points = rows["faces/landmarks"][:, 0, :, :2]
    eyes = np.linalg.norm(anna.landmarks[:, 33, :2] - anna.landmarks[:, 263, :2], axis=1)
    error = np.linalg.norm(points - anna.landmarks[..., :2], axis=2).mean(1) / eyes
    assert error.mean() < 0.045
    # Float pixels with centres at halves: half a pixel off would be seen here.
    assert np.abs((points - anna.landmarks[..., :2]).mean((0, 1))).max() < 0.45
    assert (np.modf(points)[0] != 0).mean() > 0.99
    assert (rows["faces/score"][:, 0] > 0.9).all()
    assert (rows["faces/score"][:, 1:] == 0).all()
    assert (rows["faces/sharpness"][:, 0] > 0).all()


def test_two_faces_have_two_slots_each_its_own(anna: Acted, ben: Acted, tmp_path: Path) -> None:
    both = np.concatenate([anna.pictures, ben.pictures], axis=2)
    rows = rows_of(FacesStage(write(tmp_path / "both.mp4", both)))
    x = rows["faces/landmarks"][..., 0].mean(2)
    assert (rows["faces/score"][:, :2] > 0.5).all()
    width = anna.pictures.shape[2]
    assert len({bool(a < width) for a in x[:, 0]}) == 1
    assert (np.sort(x[:, :2], axis=1) // width == [0, 1]).all()


def test_frames_without_a_face_are_missing_and_the_face_is_found_again(anna: Acted, tmp_path: Path) -> None:
    pictures = anna.pictures.copy()
    pictures[BLANK] = 90
    rows = rows_of(FacesStage(write(tmp_path / "gap.mp4", pictures)))
    seen = rows["faces/score"].max(1) > 0
    expected = np.ones(60, bool)
    expected[BLANK] = False
    assert (seen == expected).all()
    assert np.isnan(rows["faces/landmarks"][BLANK]).all()


def test_a_film_without_any_face_is_all_missing(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (8, 12, 16, 3), np.uint8)
    pictures = noise.repeat(16, axis=1).repeat(16, axis=2)
    rows = rows_of(FacesStage(write(tmp_path / "noise.mp4", pictures)))
    assert (rows["faces/score"] == 0).all()
    assert np.isnan(rows["faces/landmarks"]).all()


def test_the_change_stands_out_at_a_cut_alone(anna: Acted, ben: Acted, tmp_path: Path) -> None:
    pictures = np.concatenate([anna.pictures[:30], ben.pictures[:30]])
    change = rows_of(FacesStage(write(tmp_path / "cut.mp4", pictures)))["faces/change"]
    assert change[0] == 0
    assert change.argmax() == 30
    assert change[30] > 4 * np.delete(change, 30).max()


def test_a_small_face_in_a_large_frame_is_found(tmp_path: Path) -> None:
    person = act(4, 12, size=96)
    frame = np.full((12, 1280, 720, 3), 120, np.uint8)
    frame[:, 180:276, 400:496] = person.pictures
    rows = rows_of(FacesStage(write(tmp_path / "far.mp4", frame)))
    assert (rows["faces/score"][:, 0] > 0.5).all()
    points = rows["faces/landmarks"][:, 0, :, :2] - (400, 180)
    assert np.linalg.norm(points - person.landmarks[..., :2], axis=2).mean() < 2.5


def test_a_turned_recording_is_read_upright(anna: Acted, tmp_path: Path) -> None:
    source = turned(tmp_path / "phone.mp4", anna.pictures[:10])
    clip = tmp_path / "clip.mp4"
    normalise(source, clip)
    points = rows_of(FacesStage(clip))["faces/landmarks"][:, 0, :, :2]
    assert np.linalg.norm(points - anna.landmarks[:10, :, :2], axis=2).mean() < 2.0


@one_thread()
def _block(video: Path) -> dict[str, bytes]:
    stage = FacesStage(video)
    return {name: values.tobytes() for name, values in stage.compute(None, 256, 280).items()}


@one_thread()
def test_a_block_does_not_depend_on_who_computed_what_before(anna: Acted, tmp_path: Path) -> None:
    there_and_back = np.concatenate([anna.pictures, anna.pictures[::-1]] * 3)[:280]
    video = write(tmp_path / "long.mp4", there_and_back)
    stage = FacesStage(video)
    first = stage.compute(None, 0, 256)
    after = _block(video)
    with get_context("spawn").Pool(1) as other:
        assert other.apply(_block, (video,)) == after
    # A border between blocks is no border in what is told.
    border = np.frombuffer(after["faces/landmarks"], np.float32).reshape(24, 4, 478, 3)[0, 0]
    step = np.linalg.norm(border[:, :2] - first["faces/landmarks"][-1, 0, :, :2], axis=1).mean()
    usual = np.linalg.norm(np.diff(first["faces/landmarks"][:, 0, :, :2], axis=0), axis=2).mean(1)
    assert step < usual.max()


def test_windows_cover_the_frame() -> None:
    for size in ((1080, 1920), (1920, 1080), (720, 720)):
        covered = np.zeros(size[::-1], bool)
        for x, y, width, height in _windows(size, 2):
            covered[y : y + height, x : x + width] = True
        assert covered.all()


def test_a_crop_of_the_whole_frame_is_the_frame(anna: Acted, tmp_path: Path) -> None:
    from storage.media import VideoReader

    video = write(tmp_path / "anna.mp4", anna.pictures[:1])
    planes = split(next(iter(VideoReader(video, form="yuv420p"))))
    exact = next(iter(VideoReader(video))).astype(int)
    side = exact.shape[0]
    assert np.abs(crop(planes, 0, 0, side, side) - exact).mean() < 1.0
    # What lies outside repeats the edge.
    left = crop(planes, -side / 2, 0, side, side).astype(int)
    assert np.abs(left[:, : side // 4] - left[:, :1]).max() == 0


def test_a_reduced_crop_neither_shifts_nor_aliases() -> None:
    y, x = np.mgrid[0:320, 0:320]
    fine = np.where((x + y) % 2, 200, 60).astype(np.uint8)
    ramp = (x * 0.5 + 40).astype(np.uint8)
    grey = np.full((160 * 160 * 2,), 128, np.uint8)
    for picture, spread in ((fine, 4), (ramp, 128)):
        planes = split(np.concatenate([picture.reshape(-1), grey]).reshape(480, 320))
        out = crop(planes, 0, 0, 320, 128)[..., 0].astype(float)
        assert np.ptp(out[20:-20, 20:-20]) < spread + 2
    at = (np.arange(128) + 0.5) * 2.5 - 0.5
    expected = 1.164384 * (at * 0.5 + 40 - 16) - 0.25
    assert np.abs(out[64] - expected)[8:-8].max() < 1.5


def test_a_bundle_that_is_none_is_refused_in_one_line(anna: Acted, tmp_path: Path) -> None:
    video = write(tmp_path / "anna.mp4", anna.pictures[:4])
    bad = tmp_path / "face_landmarker.task"
    bad.write_bytes(b"no bundle")
    with pytest.raises(WeightsError, match="face landmarker bundle"):
        FacesStage(video, "task", bad).compute(None, 0, 4)


@pytest.mark.real_footage
def test_the_task_bundle_gives_blendshapes(footage: Path, anna: Acted, tmp_path: Path) -> None:
    video = write(tmp_path / "anna.mp4", anna.pictures[:12])
    stage = FacesStage(video, "task", footage / "models" / "face_landmarker.task")
    rows = rows_of(stage)
    assert {spec.name for spec in stage.specs() if spec.values is None} == set(rows)
    assert np.isfinite(rows["faces/blendshapes"][:, 0]).all()
    jaw = rows["faces/blendshapes"][:, 0, 25]
    opened = np.linalg.norm(anna.landmarks[:12, 13, :2] - anna.landmarks[:12, 14, :2], axis=1)
    assert np.corrcoef(jaw, opened)[0, 1] > 0.8


@pytest.mark.real_footage
def test_the_small_face_of_a_large_portrait_is_found_in_every_frame(footage: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    normalise(footage / "video" / "fullbody_10s_1080x1920.mp4", clip, preset="ultrafast")
    rows = FacesStage(clip).compute(None, 0, 60)
    assert (rows["faces/score"][:, 0] > 0.9).all()
