"""The fit stage on a track made of the model's own pictures, so that what it should find is known."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from models.fit.geometry import Camera, rotation
from models.morphable import builtin
from models.morphable.render import camera_of, coefficients_at, posed, render
from models.track.subset68 import subset68
from storage import clips
from tasks import _fitting as stage_of
from tasks._fitting import FitPlan
from tasks.fit import FitStage

FRAMES, CUT, MISSING = 300, 270, range(100, 105)
SIZE, PLACEMENT = (256, 256), np.float32([0, 0, 256])
CAMERA = Camera(640.0, 128.0, 128.0)
NAMES = ("landmarks", "landmarks_68", "pose", "confidence", "sharpness", "shot", "crop_placement")


def wave(rng: np.random.Generator, columns: int) -> np.ndarray:
    kernel = np.hanning(11)[1:-1]
    noise = rng.standard_normal((FRAMES + 9, columns))
    return np.stack([np.convolve(c, kernel / 2, "same")[:FRAMES] for c in noise.T], 1).astype(np.float32)


def true_rows() -> dict[str, np.ndarray]:
    """Two people, one after the other, in motion."""
    rng = np.random.default_rng(7)
    people = 0.6 * rng.standard_normal((2, 80)).astype(np.float32)
    textures = rng.standard_normal((2, 80)).astype(np.float32)
    who = (np.arange(FRAMES) >= CUT).astype(int)
    expression = 0.5 * wave(rng, 64)
    rows = {"identity": people[who], "texture": textures[who], "expression": expression}
    rows["rotation"] = wave(rng, 3) * np.float32([0.05, 0.2, 0.04])
    rows["translation"] = np.float32([0, 0, 900]) + wave(rng, 3) * 3
    rows["light"] = np.zeros((FRAMES, 27), np.float32)
    return {f"fit/{name}": values.astype(np.float32) for name, values in rows.items()}


def landmarks(rows: dict[str, np.ndarray]) -> np.ndarray:
    model, out = builtin(), np.empty((FRAMES, 478, 3), np.float32)
    for k in range(FRAMES):
        seen = model.mesh.of(posed(model, coefficients_at(rows, k)))
        pixels = CAMERA.project(torch.from_numpy(seen)).numpy()
        out[k] = np.column_stack([pixels, (seen[:, 2] - 900) * CAMERA.focal / 900])
    return out


@pytest.fixture(scope="module")
def truth() -> dict[str, np.ndarray]:
    return true_rows()


@pytest.fixture(scope="module")
def track(tmp_path_factory: pytest.TempPathFactory, truth: dict[str, np.ndarray]) -> str:
    """The track of those rows; some frames have no face."""
    points = landmarks(truth)
    # Pictures are rendered now and then: light and texture change slowly.
    crops = np.zeros((FRAMES, 256, 256, 3), np.uint8)
    for k in range(FRAMES):
        if k % 10 == 0 or k == CUT:
            shown = render(builtin(), coefficients_at(truth, k), CAMERA, PLACEMENT, supersample=1)
        crops[k] = np.clip(255 * shown.picture, 0, 255)
    confidence = np.full(FRAMES, 0.9, np.float32)
    points[list(MISSING)], confidence[list(MISSING)] = np.nan, 0
    arrays = {
        "video/crop": crops,
        "track/landmarks": points,
        "track/landmarks_68": subset68(points),
        "track/pose": np.concatenate([truth["fit/rotation"], truth["fit/translation"]], 1),
        "track/confidence": confidence,
        "track/sharpness": np.ones(FRAMES, np.float32),
        "track/shot": (np.arange(FRAMES) >= CUT).astype(np.int32),
        "track/crop_placement": np.tile(PLACEMENT, (FRAMES, 1)),
    }
    place = tmp_path_factory.mktemp("track") / "track.zarr"
    draft = clips.create(place, clips.standard(list(arrays), frames=FRAMES, fps=25), {"fps": 25.0}, token="t")
    for name, values in arrays.items():
        for region in draft.regions(name):
            draft.write(name, region.start, values[region.start : region.stop])
    return draft.finish().url


@pytest.fixture(scope="module")
def stage(track: str) -> FitStage:
    return FitStage(track, size=SIZE, focal=CAMERA.focal)


@pytest.fixture(scope="module")
def plan(stage: FitStage) -> FitPlan:
    return pickle.loads(pickle.dumps(stage.plan()))


@pytest.fixture(scope="module")
def fit(stage: FitStage, plan: FitPlan) -> dict[str, np.ndarray]:
    blocks = [stage.compute(plan, start, min(start + 256, FRAMES)) for start in range(0, FRAMES, 256)]
    return {name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]}


def test_rows_are_as_the_specs_say(stage: FitStage, fit: dict[str, np.ndarray]) -> None:
    specs = {s.name: s for s in stage.specs() if s.values is None}
    assert set(specs) == set(fit)
    for name, values in fit.items():
        assert (values.shape, values.dtype) == (specs[name].shape, np.float32), name


def test_what_was_rendered_is_found(fit: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> None:
    there = np.isfinite(fit["fit/error"])
    assert fit["fit/error"][there].mean() < 0.02
    turned, true = (rotation(torch.from_numpy(r["fit/rotation"][there])) for r in (fit, truth))
    assert (turned - true).abs().mean() < 0.02
    model, none = builtin(), np.zeros(80, np.float32)
    gaps = []
    for rows in (fit, truth):
        mouth = model.mouth_vertices(none, rows["fit/expression"][there])
        gaps.append(np.linalg.norm(mouth[:, 25] - mouth[:, 35], axis=1))
    assert np.corrcoef(*gaps)[0, 1] > 0.95


def test_the_render_has_the_colours_of_the_picture(
    track: str, fit: dict[str, np.ndarray], truth: dict[str, np.ndarray]
) -> None:
    for k in (50, 280):
        crop = clips.open_clip(track).read("video/crop", k, k + 1)[0] / 255
        shown = render(builtin(), coefficients_at(fit, k), camera_of(fit["fit/camera"][k]), PLACEMENT)
        face = (shown.cover > 0.99) & (crop.sum(2) > 0.05) & (shown.eyes == 0)
        assert np.abs(shown.picture - crop)[face].mean() < 0.05


def test_one_person_a_shot(fit: dict[str, np.ndarray]) -> None:
    for name in ("fit/identity", "fit/texture"):
        assert (fit[name][:CUT] == fit[name][0]).all()
        assert (fit[name][CUT:] == fit[name][CUT]).all()
        assert not np.allclose(fit[name][0], fit[name][CUT])


def test_frames_without_a_face_are_missing(fit: dict[str, np.ndarray]) -> None:
    missing = np.isnan(fit["fit/error"])
    assert np.flatnonzero(missing).tolist() == list(MISSING)
    for name in ("expression", "rotation", "translation", "light"):
        assert np.isnan(fit[f"fit/{name}"][missing]).all()
        assert np.isfinite(fit[f"fit/{name}"][~missing]).all()
    assert np.isfinite(fit["fit/identity"]).all()


def test_the_border_of_a_block_does_not_show(
    stage: FitStage, plan: FitPlan, fit: dict[str, np.ndarray]
) -> None:
    whole = stage.compute(plan, 0, FRAMES)
    for name in ("fit/expression", "fit/rotation", "fit/light"):
        near = slice(250, 262)
        assert np.abs(whole[name][near] - fit[name][near]).max() < 2e-2, name


def test_the_same_block_gives_the_same_bytes(stage: FitStage, fit: dict[str, np.ndarray]) -> None:
    rows = stage.compute(stage.plan(), 256, FRAMES)
    for name, values in rows.items():
        assert values.tobytes() == fit[name][256:].tobytes(), name


def test_a_face_in_a_cut_out_picture_gets_a_longer_lens(track: str) -> None:
    every = stage_of._looks(clips.open_clip(track))
    assert stage_of._camera(SIZE, every, None).focal > Camera.of_picture(*SIZE).focal
    assert stage_of._camera((2560, 1440), every, None) == Camera.of_picture(2560, 1440)
    assert stage_of._camera(SIZE, every, 640.0).focal == 640


def test_a_clip_without_a_face_is_all_missing(tmp_path: Path) -> None:
    names = [f"track/{n}" for n in NAMES]
    specs = clips.standard(["video/crop", *names], frames=20, fps=25)
    draft = clips.create(tmp_path / "empty.zarr", specs, {"fps": 25.0}, token="e")
    for spec in specs:
        if spec.values is None:
            fill = np.nan if spec.dtype == "float32" and not spec.finite else 0
            draft.write(spec.name, 0, np.full(spec.shape, fill, spec.dtype))
    stage = FitStage(draft.finish().url, size=SIZE)
    plan = stage.plan()
    rows = stage.compute(plan, 0, 20)
    assert not plan.people
    assert np.isnan(rows["fit/identity"]).all()
    assert np.isnan(rows["fit/error"]).all()
