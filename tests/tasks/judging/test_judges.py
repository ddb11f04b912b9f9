"""The user's networks beside our own figures: what they are asked, and that wrong files are found early."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.judges.lpips import Lpips
from storage.errors import WeightsError
from storage.media import MediaWriter
from tasks.judging.films import figures_of
from tasks.judging.judges import EMBEDDING, LPIPS, Judges, judges_of
from tasks.watching import Watched
from tests.tasks.judging.films import blurred
from tests.tasks.judging.films import film as crops_of

FRAMES, RATE = 30, 25.0
# Eyes, nose and mouth of somebody who looks ahead, in a picture of 160.
MARKS = np.array([[60.0, 72], [100, 72], [80, 94], [64, 116], [96, 116]])


class Colours(nn.Module):
    def forward(self, faces: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(faces, 4).flatten(1)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Weights at random, as the environment names them."""
    folder = tmp_path_factory.mktemp("weights")
    net, draw = Lpips(), torch.Generator().manual_seed(0)
    tensors = {name: 0.05 * torch.randn(own.shape, generator=draw) for name, own in net.places().items()}
    heads = {name: tensors[name].abs() for name in tensors if name.startswith("lin")}
    scaling = {"scaling_layer.shift": torch.zeros(1, 3, 1, 1), "scaling_layer.scale": torch.ones(1, 3, 1, 1)}
    torch.save({**tensors, **heads, **scaling}, folder / "alex.pth")
    torch.jit.script(Colours()).save(str(folder / "faces.pt"))
    return {LPIPS: str(folder / "alex.pth"), EMBEDDING: str(folder / "faces.pt")}


@pytest.fixture(scope="module")
def judges(files: dict[str, str]) -> Judges:
    return judges_of(files)


def written(path: Path, face: np.ndarray, turn: float = 0.0, zoom: float = 1.0) -> tuple[Path, Watched]:
    """A film of a face in the picture's middle, turned and magnified, and where its landmarks are then."""
    around = cv2.getRotationMatrix2D((80.0, 80.0), turn, zoom)
    with MediaWriter(path, (160, 160), 25) as out:
        for _ in range(FRAMES):
            out.write_frame(cv2.warpAffine(face, around, (160, 160), borderMode=cv2.BORDER_REPLICATE))
    marks = np.tile(MARKS @ around[:, :2].T + around[:, 2], (FRAMES, 1, 1))
    mouths = np.column_stack([marks[:, 3:].mean(1), np.full(FRAMES, 60.0)])
    lips = np.zeros((FRAMES, 40, 2))
    gaps = 0.1 + 0.05 * np.sin(np.arange(FRAMES))
    return path, Watched(gaps, mouths, lips, np.zeros(FRAMES), RATE, 0, np.zeros((FRAMES, 3)), marks)


def face(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(256, size=(8, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (160, 160), interpolation=cv2.INTER_CUBIC))


def told(made: tuple[Path, Watched], true: tuple[Path, Watched], judges: Judges) -> dict[str, np.ndarray]:
    return figures_of(*made, *true, np.zeros(FRAMES, bool), judges)


def test_without_them_nothing_is_told_of_them(judges: Judges, tmp_path: Path) -> None:
    true = written(tmp_path / "a.mp4", face(0))
    bare = told(true, true, judges_of({}))
    assert not {"lpips", "identity"} & bare.keys()
    assert told(true, true, judges).keys() - bare.keys() == {"lpips", "identity"}
    assert set(judges.digests) == {"lpips", "identity"}
    assert judges_of({}).digests == {}


def test_the_truth_is_as_good_as_can_be_and_another_worse(judges: Judges, tmp_path: Path) -> None:
    true = written(tmp_path / "a.mp4", face(0))
    moved = written(tmp_path / "b.mp4", face(0), turn=20, zoom=0.75)
    other = written(tmp_path / "c.mp4", face(1))
    same, turned, wrong = (told(made, true, judges) for made in (true, moved, other))
    np.testing.assert_allclose(same["lpips"], 0, atol=1e-9)
    assert wrong["lpips"].min() > 1e-4
    asked = np.isfinite(same["identity"])
    assert np.flatnonzero(asked).tolist() == list(range(0, FRAMES, 5)), "five a second"
    np.testing.assert_allclose(same["identity"][asked], 1)
    # Whoever is turned, and farther away, is the same person: each face is aligned by its own landmarks.
    assert turned["identity"][asked].min() > 0.97
    assert wrong["identity"][asked].max() < 0.8


def test_where_either_has_no_face_nobody_is_recognised(judges: Judges, tmp_path: Path) -> None:
    path, true = written(tmp_path / "a.mp4", face(0))
    made = true._replace(marks=true.marks.copy())
    made.marks[5] = np.nan
    asked = np.isfinite(told((path, made), (path, true), judges)["identity"])
    assert np.flatnonzero(asked).tolist() == [0, 10, 15, 20, 25]
    short = Watched(*(part[:12] for part in true[:4]), RATE, 0, true.turn[:12], true.marks[:12])
    asked = np.isfinite(told((path, short), (path, true), judges)["identity"])
    assert np.flatnonzero(asked).tolist() == [0, 5, 10]
    nobody = true._replace(marks=np.full_like(true.marks, np.nan))
    assert np.isnan(told((path, nobody), (path, true), judges)["identity"]).all()


def test_blur_is_worse_the_more_there_is_and_small_crops_are_judged(judges: Judges) -> None:
    figure, true = judges.of_mouths()["lpips"], crops_of()
    said = [figure(blurred(true, sigma), true).mean() for sigma in (0.5, 1, 2, 4)]
    assert said[0] > 0
    assert said == sorted(said)
    assert figure(true[:, :9, :5], true[:, 1:10, :5]).shape == (len(true),)
    one = figure(blurred(true[3:4], 2), true[3:4])
    assert one[0] == pytest.approx(figure(blurred(true, 2), true)[3], rel=1e-4)


@pytest.mark.parametrize("variable", [LPIPS, EMBEDDING])
def test_what_is_named_and_cannot_be_used_is_said_in_one_line(
    files: dict[str, str], variable: str, tmp_path: Path
) -> None:
    other = {LPIPS: EMBEDDING, EMBEDDING: LPIPS}[variable]
    for wrong in (files[other], str(tmp_path / "missing"), str(tmp_path)):
        with pytest.raises(WeightsError, match=f"correct or unset {variable}") as found:
            judges_of({**files, variable: wrong})
        assert "\n" not in str(found.value)
        assert wrong in str(found.value)
