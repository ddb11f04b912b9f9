"""Morphable models: what the built-in one can do, and foreign files in their own layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from models.morphable import MorphableModel, builtin
from models.morphable.builtin import mesh_mirror
from models.morphable.model import Correspondence, vertex_normals
from storage.errors import RequestError
from tasks.morphable import morphable_model

UPRIGHT = np.array([1, -1, -1], np.float32)
BROWS, LIPS_IN, LEFT_LIDS, RIGHT_LIDS = (105, 334), (13, 14), (386, 374), (159, 145)


def moved(name: str, amount: float) -> np.ndarray:
    model = builtin()
    e = np.zeros(64, np.float32)
    e[model.names.index(name)] = amount
    return model.shape(np.zeros(80, np.float32), e)


def gap(points: np.ndarray, pair: tuple[int, int]) -> float:
    return float(np.linalg.norm(points[pair[0]] - points[pair[1]]))


def test_the_jaw_opens_the_mouth_and_leaves_the_eyes() -> None:
    rest, wide = builtin().mean, moved("jaw_open", 2.0)
    assert gap(wide, LIPS_IN) > gap(rest, LIPS_IN) + 8
    assert abs(gap(wide, LEFT_LIDS) - gap(rest, LEFT_LIDS)) < 0.5
    assert np.abs(wide[list(BROWS)] - rest[list(BROWS)]).max() < 0.5


def test_each_lid_shuts_its_own_eye() -> None:
    rest = builtin().mean
    for name, own, other in (
        ("lid_left", LEFT_LIDS, RIGHT_LIDS),
        ("lid_right", RIGHT_LIDS, LEFT_LIDS),
    ):
        shut = moved(name, 1.8)
        assert gap(shut, own) < 0.35 * gap(rest, own)
        assert gap(shut, other) == pytest.approx(gap(rest, other), abs=0.3)


def test_every_group_moves_its_own_place_most() -> None:
    model = builtin()
    size = np.linalg.norm(model.expression, axis=1)
    places = {"jaw": 152, "lips": 14, "brows": 105}
    for group, home in places.items():
        modes = model.coefficients_of((group,))
        assert len(modes) >= 4
        strongest = {g: size[v][modes].max() for g, v in places.items()}
        assert strongest[group] == max(strongest.values()) > 1.0, (group, home)


def test_lip_modes_are_even_or_uneven() -> None:
    model, mirror = builtin(), mesh_mirror()[:468]
    for k in model.coefficients_of(("lips",)):
        mode = model.expression[:468, :, k]
        sign = -1 if "uneven" in model.names[k] else 1
        off = mode - sign * mode[mirror] * np.float32([-1, 1, 1])
        assert np.abs(off).max() < 0.05 * np.abs(mode).max() + 0.01, model.names[k]


def test_identity_holds_no_shift_turn_or_growth() -> None:
    model = builtin()
    p = model.mean - model.mean.mean(0)
    modes = model.identity
    assert np.abs(modes.mean(0)).max() < 0.02
    assert np.abs(np.einsum("vi,vik->k", p, modes)).max() / (p**2).sum() < 1e-3
    turns = np.cross(p[:, None], modes.transpose(0, 2, 1)).sum(0)
    assert np.abs(turns).max() / (p**2).sum() < 1e-3


def test_the_face_looks_at_the_viewer() -> None:
    model = builtin()
    assert (vertex_normals(model.mean, model.triangles)[[4, 151, 199, 50, 280], 2] < -0.5).all()
    assert model.eyes.sum() > 100
    assert not model.eyes[:468].any()
    assert np.linalg.norm(model.mesh.of(model.mean)[473] - model.mean[[386, 374]].mean(0)) < 5


def test_mouth_vertices_follow_the_expression_alone() -> None:
    model = builtin()
    e = np.zeros((3, 64), np.float32)
    e[1, 0] = 2.0
    mouths = model.mouth_vertices(np.zeros(80, np.float32), e)
    assert mouths.shape == (3, len(model.mouth), 3)
    assert np.array_equal(mouths[0], mouths[2])
    assert np.abs(mouths[1] - mouths[0]).max() > 8


def test_sizes_are_checked() -> None:
    model = builtin()
    with pytest.raises(ValueError, match="identity"):
        MorphableModel(
            **{**{f: getattr(model, f) for f in MorphableModel.__dataclass_fields__}, "identity": model.mean}
        )


def deng_file(path: Path, **changes: np.ndarray) -> Path:
    """The built-in model written in the Basel model's layout: decimetres, y up, indices from one."""
    model = builtin()

    def flat(a: np.ndarray) -> np.ndarray:
        return (a * UPRIGHT[:, None] / 100).reshape(-1, a.shape[2])

    arrays = {
        "meanshape": (model.mean * UPRIGHT / 100).reshape(1, -1),
        "idBase": flat(model.identity),
        "exBase": flat(model.expression),
        "meantex": (model.colour * 255).reshape(1, -1),
        "texBase": (model.texture * 255).reshape(-1, 80),
        "tri": model.triangles[:, ::-1].astype(np.float64) + 1,
        "keypoints": model.dlib.corners[:, :1].T.astype(np.float64) + 1,
    }
    savemat(path, arrays | changes)
    return path


def test_dengs_layout_comes_back_as_it_went(tmp_path: Path) -> None:
    ours, read = builtin(), morphable_model("bfm", deng_file(tmp_path / "BFM_model_front.mat"))
    assert np.abs(read.mean - ours.mean).max() < 0.05
    assert np.abs(read.identity - ours.identity).max() < 0.02
    assert np.abs(read.expression - ours.expression).max() < 0.02
    assert np.abs(read.colour - ours.colour).max() < 1e-3
    assert np.abs(read.texture - ours.texture).max() < 1e-3
    assert vertex_normals(read.mean, read.triangles)[4, 2] < -0.5
    landmarks = read.mesh.of(read.mean)
    assert np.linalg.norm(landmarks[:468] - ours.mean[:468], axis=1).mean() < 0.5


@pytest.mark.parametrize(
    "changes",
    [
        {"idBase": np.zeros((12, 80))},
        {"keypoints": np.full((1, 68), 99999.0)},
        {"tri": np.full((9, 3), 99999.0)},
    ],
)
def test_a_file_that_does_not_fit_together_is_refused(tmp_path: Path, changes: dict[str, np.ndarray]) -> None:
    with pytest.raises(RequestError, match="no bfm model"):
        morphable_model("bfm", deng_file(tmp_path / "bad.mat", **changes))


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.mat").write_bytes(b"this is no such file at all" * 20)
    for name in ("bfm", "ict"):
        with pytest.raises(RequestError, match=f"no {name} model"):
            morphable_model(name, tmp_path / "x.mat")
    with pytest.raises(RequestError, match="no such file"):
        morphable_model("bfm", tmp_path / "absent.mat")
    with pytest.raises(RequestError, match="needs its file"):
        morphable_model("ict")
    with pytest.raises(RequestError, match="flame"):
        morphable_model("flame")


@pytest.mark.real_footage
def test_ict_facekit_stands_where_the_builtin_stands(footage: Path) -> None:
    path = footage / "models" / "ict_facekit.npz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    model, ours = morphable_model("ict", path), builtin()
    assert model.identity.shape[2] == 80
    assert model.expression.shape[2] == 64
    off = np.linalg.norm(model.dlib.of(model.mean)[17:] - ours.dlib.of(ours.mean)[17:], axis=1)
    assert off.mean() < 5
    jaw = np.zeros(64, np.float32)
    jaw[model.names.index("jawOpen")] = 2
    lips = [model.mesh.of(model.shape(np.zeros(80, np.float32), e)) for e in (0 * jaw, jaw)]
    assert gap(lips[1], LIPS_IN) > gap(lips[0], LIPS_IN) + 10
    assert model.groups[model.names.index("jawOpen")] == "jaw"
    assert model.eyes.sum() > 500
    at = model.mesh.points.tolist()
    irises = [at.index(468), at.index(473)]
    rest = model.mesh.of(model.mean)
    for iris, eye in zip(irises, ((33, 133, 159, 145), (362, 263, 386, 374)), strict=True):
        assert np.abs(rest[iris] - rest[list(eye)].mean(0))[:2].max() < 2.0
    look = np.zeros(64, np.float32)
    look[[model.names.index(f"eyeLookDown_{side}") for side in "LR"]] = 1
    assert (model.mesh.of(model.shape(np.zeros(80, np.float32), look)) - rest)[irises, 1].min() > 1


def test_correspondences_read_values_at_landmarks() -> None:
    at = Correspondence(np.array([5]), np.array([[0, 1, 2]]), np.array([[0.5, 0.25, 0.25]], np.float32))
    values = np.arange(9, dtype=np.float32).reshape(3, 3)
    assert np.allclose(at.of(values), [[2.25, 3.25, 4.25]])
