"""Faces are aligned as those that embeddings are trained on; files that are none are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.judges.embedding import SIDE, alignments, load_embedding

# ArcFace's places, rounded.
PLACES = np.array([[38.3, 51.7], [73.5, 51.5], [56.0, 71.7], [41.5, 92.4], [70.7, 92.2]])


class Colours(nn.Module):
    """Tells the mean colours of nine cells; `shape` says what of it."""

    def __init__(self, kind: str = "rows") -> None:
        super().__init__()
        self.kind = kind

    def forward(self, faces: Tensor) -> Tensor:
        told = nn.functional.adaptive_avg_pool2d(faces, 3).flatten(1)
        if self.kind == "one":
            return told[:1]
        if self.kind == "picture":
            return faces
        if self.kind == "nan":
            return told * float("nan")
        return told


def saved(path: Path, kind: str = "rows") -> Path:
    torch.jit.script(Colours(kind)).save(str(path))
    return path


def placed(marks: np.ndarray) -> np.ndarray:
    maps = alignments(marks)
    return np.einsum("nij,nkj->nki", maps[:, :, :2], marks) + maps[:, None, :, 2]


def test_five_points_come_to_their_places() -> None:
    rng = np.random.default_rng(0)
    for turn, scale, move in ((0.0, 1.0, [0, 0]), (0.4, 3.1, [200, 90]), (-2.0, 0.3, [-40, 7])):
        c, s = np.cos(turn), np.sin(turn)
        marks = scale * PLACES @ np.array([[c, s], [-s, c]]) + move
        np.testing.assert_allclose(placed(marks[None])[0], PLACES, atol=0.1)
    # Of a face of other proportions nothing turned, scaled or moved comes nearer.
    marks = (PLACES + 4 * rng.standard_normal((5, 2)))[None]
    found, best = alignments(marks), placed(marks)
    for change in 1e-3 * rng.standard_normal((50, 4)):
        (a, b), (x, y) = change[:2], 50 * change[2:]
        other = best @ np.array([[1 + a, b], [-b, 1 + a]]) + [x, y]
        assert np.square(other - PLACES).sum() >= np.square(best - PLACES).sum() - 0.01
    linear = found[0, :, :2]
    assert np.linalg.det(linear) > 0
    np.testing.assert_allclose(linear @ linear.T, np.linalg.det(linear) * np.eye(2), atol=1e-9)


def test_a_users_network_is_asked_in_its_terms(tmp_path: Path) -> None:
    net = load_embedding(saved(tmp_path / "net.pt"))
    faces = np.random.default_rng(1).integers(256, size=(3, SIDE, SIDE, 3), dtype=np.uint8)
    faces[1:, :, :, 0] = 255
    told = net(faces)
    wanted = Colours()(torch.from_numpy(faces).movedim(-1, 1) / 127.5 - 1).double()
    torch.testing.assert_close(told, wanted / wanted.norm(dim=1, keepdim=True), rtol=1e-5, atol=1e-6)
    assert wanted[1:, :9].min() == 1, "red comes first, and 255 is 1"


@pytest.mark.parametrize(
    ("kind", "said"),
    [("one", r"tells \(1, 27\)"), ("picture", r"\(2, 3, 112, 112\)"), ("nan", "not two rows of numbers")],
)
def test_what_tells_no_rows_is_refused(tmp_path: Path, kind: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        load_embedding(saved(tmp_path / "net.pt", kind))


def test_what_is_no_torchscript_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("?")
    torch.save({"x": torch.zeros(3)}, tmp_path / "tensors")
    torch.jit.script(nn.Linear(3, 3)).save(str(tmp_path / "linear"))
    for name in ("text", "tensors", "linear", "missing"):
        with pytest.raises(ValueError, match="no TorchScript of a face embedding") as told:
            load_embedding(tmp_path / name)
        assert "\n" not in str(told.value)
