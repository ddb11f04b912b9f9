"""The chosen face, settled: without lag, without guesses, in OpenFace's signs, in a crop that keeps still."""

from __future__ import annotations

from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from storage.errors import RequestError
from tasks.faces import FacesStage
from tasks.threads import one_thread
from tasks.track import TrackStage
from tests.bench.tracking import lag, lips, r
from tests.tasks.tracked_films import SIZE, Acted, act, rows_of, stored, write

FOCAL = 2.5 * SIZE


@pytest.fixture(scope="module")
def anna() -> Acted:
    return act(2, 110)


@pytest.fixture(scope="module")
def ben() -> Acted:
    return act(5, 110, speaks=False)


@pytest.fixture(scope="module")
def pair(anna: Acted, ben: Acted, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Ben, silent, at the left; Anna, who speaks, at the right."""
    folder = tmp_path_factory.mktemp("pair")
    video = write(folder / "clip.mp4", np.concatenate([ben.pictures, anna.pictures], axis=2)[:60])
    return video, stored(FacesStage(video), folder / "faces.zarr").url


@pytest.fixture(scope="module")
def alone(anna: Acted, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrackStage, dict[str, np.ndarray]]:
    folder = tmp_path_factory.mktemp("alone")
    stage = _stage(write(folder / "clip.mp4", anna.pictures), folder, focal=FOCAL)
    return stage, rows_of(stage)


def _stage(video: Path, folder: Path, **options: object) -> TrackStage:
    return TrackStage(video, stored(FacesStage(video), folder / "faces.zarr").url, **options)  # type: ignore[arg-type]


def test_lips_move_when_they_moved(alone: tuple[TrackStage, dict[str, np.ndarray]], anna: Acted) -> None:
    """Random motion: a periodic one would hide a shift by its period."""
    points = alone[1]["track/landmarks"]
    scale = np.linalg.norm(anna.landmarks[:, 33, :2] - anna.landmarks[:, 263, :2], axis=1)
    told, true = lips(points, scale), lips(anna.landmarks, scale)
    assert abs(lag(told, true)) < 0.1
    assert r(told, true) > 0.93


def test_pose_has_openfaces_signs_and_units(
    alone: tuple[TrackStage, dict[str, np.ndarray]], anna: Acted
) -> None:
    pose = alone[1]["track/pose"]
    assert r(pose[:, 1], anna.pose[:, 1]) > 0.97
    assert np.degrees(np.abs(pose[:, :3] - anna.pose[:, :3])).mean(0).max() < 4.0
    off = np.linalg.norm(pose[:, 3:] - anna.pose[:, 3:], axis=1) / np.linalg.norm(anna.pose[:, 3:], axis=1)
    assert off.mean() < 0.04


def test_all_is_told_and_within_bounds(alone: tuple[TrackStage, dict[str, np.ndarray]]) -> None:
    stage, rows = alone
    assert {spec.name for spec in stage.specs() if spec.values is None} == set(rows)
    for spec in stage.specs():
        if spec.values is None:
            assert rows[spec.name].shape == spec.shape, spec.name
            assert rows[spec.name].dtype == spec.dtype, spec.name
    assert all(np.isfinite(rows[name]).all() for name in rows)
    units = rows["track/action_units"]
    assert units.min() >= 0
    assert units.max() <= 5
    assert np.allclose(np.linalg.norm(rows["track/gaze"], axis=2), 1, atol=1e-5)
    assert (rows["track/gaze"][..., 2] < -0.5).all(), "OpenFace's gaze points towards the camera"
    assert ((rows["track/confidence"] > 0.8) & (rows["track/confidence"] <= 1)).all()


def test_a_mouth_that_opens_is_a_unit(alone: tuple[TrackStage, dict[str, np.ndarray]], anna: Acted) -> None:
    from models.puppet import INDEX

    assert r(alone[1]["track/action_units"][:, 15], anna.row[:, INDEX["jaw_open"]]) > 0.85


def test_the_crop_holds_the_head_and_keeps_still(alone: tuple[TrackStage, dict[str, np.ndarray]]) -> None:
    rows = alone[1]
    x, y, side = rows["track/crop_placement"].T
    assert np.ptp(side) == 0
    inside = (rows["track/landmarks"][..., :2] - np.stack([x, y], 1)[:, None]) / side[:, None, None]
    assert inside.min() > 0.03
    assert inside.max() < 0.97
    # Second differences: what an eye sees as trembling. A tenth of a crop's pixel is nothing.
    tremble = np.abs(np.diff(np.stack([x, y], 1), 2, axis=0)) * 256 / side[0]
    assert tremble.max() < 0.1
    face = np.linalg.norm(rows["track/landmarks"][:, 10, :2] - rows["track/landmarks"][:, 152, :2], axis=1)
    assert 0.5 < np.median(face / side) < 0.72


def test_the_crop_shows_what_lies_there(alone: tuple[TrackStage, dict[str, np.ndarray]], anna: Acted) -> None:
    import cv2

    rows = alone[1]
    x, y, side = (float(v) for v in rows["track/crop_placement"][40])
    step = side / 256
    matrix = np.array([[step, 0, x + step / 2 - 0.5], [0, step, y + step / 2 - 0.5]])
    expected = cv2.warpAffine(
        anna.pictures[40], matrix, (256, 256), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=1
    )
    assert np.abs(rows["video/crop"][40].astype(int) - expected).mean() < 4


def test_who_speaks_is_chosen_unless_another_is_asked_for(pair: tuple[Path, str]) -> None:
    video, faces = pair
    where = {}
    for face in ("auto", "left", "right", "largest", "0", "1"):
        plan = TrackStage(video, faces, face).plan()
        assert (plan.cast.slot >= 0).all()
        where[face] = plan.cast.placement[:, 0] + plan.cast.placement[:, 2] / 2 > SIZE
        assert len(set(where[face].tolist())) == 1, "one person through the whole clip"
    assert where["auto"][0]
    assert where["right"][0]
    assert not where["left"][0]
    assert where["0"][0] != where["1"][0]


def test_a_person_who_is_not_there_is_nobody(pair: tuple[Path, str]) -> None:
    rows = rows_of(TrackStage(*pair, face="7"))
    assert (rows["track/confidence"] == 0).all()
    assert np.isnan(rows["track/pose"]).all()
    with pytest.raises(RequestError, match="no such face"):
        TrackStage(*pair, face="everyone")


def test_a_cut_splits_the_track(anna: Acted, tmp_path: Path) -> None:
    """Two takes of one person, the second nearer and turned away."""
    second = anna.pictures[:, 36:116, 40:120].repeat(2, 1).repeat(2, 2)
    video = write(tmp_path / "cut.mp4", np.concatenate([anna.pictures[:30], second[70:100]]))
    rows = rows_of(_stage(video, tmp_path))
    assert (rows["track/shot"] == np.repeat([0, 1], 30)).all()
    sides = rows["track/crop_placement"][:, 2]
    assert len(set(sides[:30])) == 1
    assert len(set(sides[30:])) == 1
    assert sides[30] > 1.3 * sides[29]
    # Nothing was smoothed over the cut: the frames beside it are as close to the raw mesh as others.
    raw = FacesStage(video).compute(None, 0, 60)["faces/landmarks"][:, 0]
    off = np.linalg.norm(rows["track/landmarks"][..., :2] - raw[..., :2], axis=2).mean(1)
    assert off[29:31].max() < 3 * np.median(off) + 0.1


def test_gaps_are_marked_and_not_guessed(anna: Acted, tmp_path: Path) -> None:
    pictures = anna.pictures[:60].copy()
    pictures[25:32] = 80
    rows = rows_of(_stage(write(tmp_path / "gap.mp4", pictures), tmp_path))
    seen = rows["track/confidence"] > 0
    expected = np.ones(60, bool)
    expected[25:32] = False
    assert (seen == expected).all()
    for name in ("landmarks", "landmarks_68", "pose", "action_units", "gaze", "sharpness", "crop_placement"):
        values = rows[f"track/{name}"].reshape(60, -1)
        assert np.isnan(values[~expected]).all(), name
        assert np.isfinite(values[expected]).all(), name
    assert (rows["video/crop"][~expected] == 0).all()
    assert (rows["track/action_unit_presence"][~expected] == 0).all()


def test_a_clip_without_any_face_ends_well(tmp_path: Path) -> None:
    video = write(tmp_path / "grey.mp4", np.full((6, 96, 96, 3), 100, np.uint8))
    rows = rows_of(_stage(video, tmp_path))
    assert (rows["track/confidence"] == 0).all()
    assert (rows["track/shot"] == 0).all()


@one_thread()
def _block(stage: TrackStage) -> dict[str, bytes]:
    plan = stage.plan()
    return {name: values.tobytes() for name, values in stage.compute(plan, 256, 270).items()}


@one_thread()
def test_a_block_does_not_depend_on_who_computed_what_before(anna: Acted, tmp_path: Path) -> None:
    there_and_back = np.concatenate([anna.pictures[:90], anna.pictures[89::-1]] * 2)[:270]
    stage = _stage(write(tmp_path / "long.mp4", there_and_back), tmp_path)
    plan = stage.plan()
    first = stage.compute(plan, 0, 256)
    after = _block(stage)
    with get_context("spawn").Pool(1) as other:
        assert other.apply(_block, (stage,)) == after
    border = np.frombuffer(after["track/landmarks"], np.float32).reshape(14, 478, 3)[0]
    step = np.linalg.norm(border[:, :2] - first["track/landmarks"][-1, :, :2], axis=1).mean()
    usual = np.linalg.norm(np.diff(first["track/landmarks"][..., :2], axis=0), axis=2).mean(1)
    assert step < usual.max()
