"""Exports are read as other people's programs read them: by name, by position, through their camera."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy.io import loadmat

from models.track.calibration import calibration
from models.track.camera import Camera
from models.track.subset68 import DLIB_IN_MESH
from storage.clips import ClipGroup
from storage.errors import CorruptArtifact, RequestError
from storage.openface import ACTION_UNITS
from tasks._deng import deng_angles, projected
from tasks.export import columns, export_deng, export_openface
from tests.helpers.features_group import FRAMES, MISSING, SIZE, head, made_up, turned

SEEN = [i for i in range(FRAMES) if i not in MISSING]


@pytest.fixture(scope="module")
def group(tmp_path_factory) -> ClipGroup:
    return made_up(tmp_path_factory.mktemp("group") / "features.zarr")


@pytest.fixture(scope="module")
def table(group, tmp_path_factory) -> pd.DataFrame:
    return pd.read_csv(export_openface(group, tmp_path_factory.mktemp("csv") / "full.csv", size=SIZE))


def test_the_full_header_is_featureextractions():
    """714 columns; where each of its groups begins."""
    names = columns("full")
    assert len(names) == len(set(names)) == 714
    assert names[:5] == ["frame", "face_id", "timestamp", "confidence", "success"]
    begin = {"gaze_0_x": 5, "gaze_angle_x": 11, "eye_lmk_x_0": 13, "eye_lmk_X_0": 125, "pose_Tx": 293}
    begin |= {"x_0": 299, "y_0": 367, "X_0": 435, "Z_67": 638, "p_scale": 639, "p_0": 645, "p_33": 678}
    begin |= {"AU01_r": 679, "AU45_r": 695, "AU01_c": 696, "AU28_c": 712, "AU45_c": 713}
    assert {name: names.index(name) for name in begin} == begin


@pytest.mark.real_footage
def test_openface_s_own_file_has_these_names(footage):
    """An older one: all its columns are among ours, in the same order."""
    with (footage / "openface" / "webcam_320x240.openface.csv").open() as file:
        theirs = [name.strip() for name in next(csv.reader(file))]
    ours = columns("full")
    assert [name for name in ours if name in theirs] == theirs


def test_values_by_name(group, table):
    assert table["frame"].tolist() == list(range(1, FRAMES + 1))
    np.testing.assert_allclose(table["timestamp"], np.arange(FRAMES) / 25, atol=1e-3)
    assert [i for i in range(FRAMES) if table["success"][i] == 0] == list(MISSING)
    points, pose = group.read("track/landmarks_68"), group.read("track/pose")
    for k in (0, 29, 67):
        np.testing.assert_allclose(table[f"x_{k}"][SEEN], points[SEEN, k, 0], atol=0.01)
        np.testing.assert_allclose(table[f"y_{k}"][SEEN], points[SEEN, k, 1], atol=0.01)
    for k, name in enumerate(["pose_Rx", "pose_Ry", "pose_Rz"]):
        np.testing.assert_allclose(table[name][SEEN], pose[SEEN, k], atol=0.001)
    for k, name in enumerate(["pose_Tx", "pose_Ty", "pose_Tz"]):
        np.testing.assert_allclose(table[name][SEEN], pose[SEEN, 3 + k], atol=0.06)
    units = group.read("track/action_units")
    for k, unit in enumerate(ACTION_UNITS):
        np.testing.assert_allclose(table[f"AU{unit:02}_r"][SEEN], units[SEEN, k], atol=0.006)
    assert set(table["AU28_c"]) == {0.0, 1.0}
    np.testing.assert_allclose(table["gaze_angle_x"][SEEN], np.arctan2(0.1, 0.97), atol=0.001)


def test_points_in_space_are_those_of_the_head(group, table):
    """X, Y, Z put the face mesh's points where the head's are."""
    pose = group.read("track/pose").astype(float)
    for i in (5, 20, 45):
        solid = head()[DLIB_IN_MESH] @ turned(pose[i, :3]).T + pose[i, 3:]
        told = np.stack([[table[f"{a}_{k}"][i] for k in range(68)] for a in "XYZ"], -1)
        np.testing.assert_allclose(told, solid, atol=0.3)


@pytest.mark.parametrize("focal", [500.0, 1250.0])
def test_openface_s_lens_sees_the_points_in_space_and_the_head_has_its_size(tmp_path, focal):
    """Also where the clip's own lens is another: one camera for X, Y, Z and the pose."""
    shape = calibration().face.astype(float)
    group = made_up(tmp_path / "features.zarr", focal=focal, shape=shape)
    table = pd.read_csv(export_openface(group, tmp_path / "full.csv", size=SIZE)).loc[SEEN]
    solid = np.stack([table.filter(regex=f"^{axis}_").to_numpy() for axis in "XYZ"], -1)
    plane = np.stack([table.filter(regex=rf"^{axis}_\d").to_numpy() for axis in "xy"], -1)
    assert np.abs(Camera.of_picture(*SIZE).project(solid) - plane).max() < 0.5
    corners = shape[DLIB_IN_MESH][[36, 45]]
    told = np.linalg.norm(solid[:, 36] - solid[:, 45], axis=1)
    # A turned head is seen in another perspective, so a few percent remain.
    np.testing.assert_allclose(told, np.linalg.norm(corners[0] - corners[1]), rtol=0.04)
    assert np.all((told > 80) & (told < 95))
    np.testing.assert_allclose(solid[..., 2].mean(1), table["pose_Tz"], rtol=0.1)


@pytest.mark.parametrize("write", [lambda g, d: export_openface(g, d, size=SIZE), export_deng])
@pytest.mark.parametrize("name", ["track/landmarks_68", "fit/camera"])
def test_what_is_missing_or_altered_is_never_written(tmp_path, write, name):
    group = made_up(tmp_path / "features.zarr")
    shard = next(path for path in (tmp_path / "features.zarr" / name / "c").rglob("*") if path.is_file())
    whole = shard.read_bytes()
    shard.write_bytes(whole[:20] + bytes([whole[20] ^ 1]) + whole[21:])
    with pytest.raises(CorruptArtifact, match=name):
        write(group, tmp_path / "x.mat")
    shutil.rmtree(shard.parent)
    with pytest.raises(CorruptArtifact, match=f"{name}: rows 0 to {FRAMES} are missing; run") as caught:
        write(group, tmp_path / "x.mat")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["features.zarr"]


def test_missing_frames_are_zeros_and_the_unmeasured_is_nan(table):
    for i in MISSING:
        assert table.loc[i, ["confidence", "pose_Tz", "x_0", "Z_3", "AU45_r", "gaze_0_z"]].tolist() == [0] * 6
    assert table.filter(regex="^(eye_lmk|p_)").isna().all(axis=None)
    assert not table.filter(regex="^(?!eye_lmk|p_)").isna().any(axis=None)


def test_by_position_as_dinet_reads_it(group, tmp_path):
    """Row number = column 0; columns 5 to 72 are x, 73 to 140 are y."""
    path = export_openface(group, tmp_path / "flat.csv", size=SIZE, layout="2d")
    with path.open() as file:
        rows = list(csv.reader(file))
    assert len(rows) == FRAMES + 1
    points = group.read("track/landmarks_68")
    for number, row in enumerate(rows[1:], 1):
        assert int(row[0]) == number
        assert len(row) == 141
        if number - 1 in SEEN:
            x, y = np.array(row[5:73], float), np.array(row[73:141], float)
            np.testing.assert_allclose(np.stack([x, y], -1), points[number - 1], atol=0.01)


def test_by_name_as_facial_reads_it(group, tmp_path):
    path = export_openface(group, tmp_path / "spaced.csv", size=SIZE, spaced=True)
    table = pd.read_csv(path)
    assert "frame" in table.columns
    assert table[" AU45_r"].notna().all()
    assert table.loc[5, " x_30"] == pytest.approx(group.read("track/landmarks_68")[5, 30, 0], abs=0.01)


def test_deng_s_order_and_names(group, tmp_path):
    found = loadmat(export_deng(group, tmp_path / "fit.mat", model="builtin"))
    assert found["coeff"].shape == (FRAMES, 257)
    assert found["model"].item() == "builtin"
    assert found["valid"].ravel().tolist() == [int(i in SEEN) for i in range(FRAMES)]
    places = {"id": (0, 80), "exp": (80, 144), "tex": (144, 224), "angle": (224, 227), "gamma": (227, 254)}
    for name, (start, stop) in {**places, "trans": (254, 257)}.items():
        np.testing.assert_array_equal(found["coeff"][:, start:stop], found[name])
    ours = {"id": "identity", "exp": "expression", "tex": "texture", "gamma": "light"}
    for name, own in ours.items():
        np.testing.assert_array_equal(found[name][SEEN], group.read(f"fit/{own}")[SEEN])
    assert np.isfinite(found["coeff"]).all()
    np.testing.assert_array_equal(found["coeff"][30], found["coeff"][29])
    np.testing.assert_array_equal(found["coeff"][0], found["coeff"][2])


def test_deng_s_camera_sees_the_face_in_the_crop(group, tmp_path):
    """Their projection of the head with our angles and translation is the crop's 68 points."""
    found = loadmat(export_deng(group, tmp_path / "fit.mat"))
    crop = group.read("track/crop_placement").astype(float)
    points = group.read("track/landmarks_68").astype(float)
    for i in SEEN:
        marks = found["lm68"][i]
        np.testing.assert_allclose(marks, (points[i] + 0.5 - crop[i, :2]) * 224 / crop[i, 2] - 0.5, atol=0.01)
        seen = projected(
            head()[DLIB_IN_MESH], found["angle"][i].astype(float), found["trans"][i].astype(float)
        )
        # Their camera is about as far away as ours: perspective differs by a little.
        assert np.abs(seen - marks).max() < 3.5
        assert np.abs(seen - marks).mean() < 1.0


def test_deng_s_angles_turn_alike():
    rng = np.random.default_rng(0)
    flip = np.diag([1.0, -1, -1])
    for angles in rng.uniform(-0.8, 0.8, (20, 3)):
        (x, y, z) = deng_angles(angles[None])[0]
        theirs = turned([0, 0, z]) @ turned([0, y, 0]) @ turned([x, 0, 0])
        np.testing.assert_allclose(theirs, flip @ turned(angles) @ flip, atol=1e-9)


def test_a_folder_as_facial_reads_it(group, tmp_path):
    folder = export_deng(group, tmp_path / "frames")
    files = sorted(folder.glob("*.mat"))
    assert len(files) == FRAMES
    faces = np.stack([loadmat(folder / f"{i}.mat")["coeff"][0] for i in range(1, len(files) + 1)])
    np.testing.assert_array_equal(faces, loadmat(export_deng(group, tmp_path / "all.mat"))["coeff"])


@pytest.mark.parametrize("write", [lambda g, d: export_openface(g, d, size=SIZE), export_deng])
def test_what_is_there_is_never_written_over(group, tmp_path, write):
    there = tmp_path / "there.mat"
    there.write_text("mine")
    for dest, said in (
        (there, "there already"),
        (tmp_path, "is a folder"),
        (tmp_path / "no" / "x.mat", "exist"),
    ):
        with pytest.raises(RequestError, match=said):
            write(group, dest)
    assert there.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["there.mat"]


def test_a_failure_leaves_nothing(group, tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.export.lines", lambda *_: iter(["a\n", "b\n", None]))
    with pytest.raises(TypeError):
        export_openface(group, tmp_path / "broken.csv", size=SIZE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("broke", "said"), [(PermissionError, RequestError), (KeyboardInterrupt, KeyboardInterrupt)]
)
@pytest.mark.parametrize("name", ["x.mat", "frames"])
def test_what_was_not_remembered_is_not_left(group, tmp_path, broke, said, name):
    def seal(part):
        assert part.exists()
        assert part.name != name
        raise broke

    with pytest.raises(said):
        export_deng(group, tmp_path / name, seal=seal)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("write", [lambda g, d: export_openface(g, d, size=SIZE), export_deng])
def test_places_that_cannot_be_written(group, tmp_path, write):
    (tmp_path / "file").write_text("mine")
    for dest, said in (
        ("/proc/x.mat", "cannot be written"),
        (tmp_path / "file" / "x.mat", "is a file, not a folder"),
        (tmp_path / ("x" * 300), "cannot be written"),
    ):
        with pytest.raises(RequestError, match=said) as caught:
            write(group, dest)
        assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
