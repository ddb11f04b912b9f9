"""The solvers: faces of known coefficients, seen by a camera, are found again, outliers and all."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.fit.frames import Frames, solve_frames
from models.fit.geometry import Camera, angles, first_pose, rotation, turned
from models.fit.landmarks import FitSettings, Targets, View, landmarks_of, targets, view_of
from models.fit.light import shade, solve_light
from models.fit.shot import solve_shot
from models.fit.sway import measure, uneven
from models.fit.telling import learn, told
from models.morphable import builtin
from models.morphable.render import render

CAMERA = Camera(640.0, 128.0, 128.0)
EYES = 45.0


def smooth(rng: np.random.Generator, frames: int, columns: int, width: int = 7) -> np.ndarray:
    noise = rng.standard_normal((frames + width, columns))
    kernel = np.hanning(width + 2)[1:-1]
    kernel /= np.sqrt((kernel**2).sum())
    return np.stack([np.convolve(c, kernel, "same")[:frames] for c in noise.T], 1).astype(np.float32)


def scene(frames: int = 60, seed: int = 0) -> tuple[View, torch.Tensor, Frames, torch.Tensor]:
    """A person in motion: the model's landmarks, identity, coefficients and landmarks (B, L, 3) in pixels."""
    rng = np.random.default_rng(seed)
    seen = view_of(builtin())
    who = torch.from_numpy(0.5 * rng.standard_normal(80).astype(np.float32))
    expression = torch.from_numpy(0.8 * smooth(rng, frames, 64))
    r = rotation(torch.from_numpy(smooth(rng, frames, 3, 15) * np.float32([0.08, 0.2, 0.06])))
    t = torch.tensor([0.0, 0.0, 900.0]) + torch.from_numpy(smooth(rng, frames, 3, 15) * np.float32(5))
    moved = torch.einsum("lij,bj->bli", seen.expression, expression)
    camera_frame = (seen.mean + seen.identity @ who + moved) @ r.transpose(1, 2) + t[:, None]
    pixels = CAMERA.project(camera_frame)
    depth = (camera_frame[..., 2] - t[:, None, 2]) * (CAMERA.focal / t[:, None, 2])
    return seen, who, Frames(expression, r, t), torch.cat([pixels, depth[..., None]], 2)


def goal_of(seen: View, points: torch.Tensor, belief: torch.Tensor | None = None) -> Targets:
    full = torch.zeros(len(points), 478, 3)
    full[:, torch.from_numpy(seen.points)] = points
    eyes = torch.full((len(points),), EYES)
    return targets(seen, full, torch.ones(len(points)) if belief is None else belief, FitSettings(), eyes)


def mouth_r(a: torch.Tensor, b: torch.Tensor, pair: tuple[int, int]) -> float:
    model, none = builtin(), np.zeros(80, np.float32)
    gaps = []
    for e in (a, b):
        mouth = model.mouth_vertices(none, e.numpy())
        gaps.append(np.linalg.norm(mouth[:, pair[0]] - mouth[:, pair[1]], axis=1))
    return float(np.corrcoef(*gaps)[0, 1])


def solved(seen: View, who: torch.Tensor, points: torch.Tensor, goal: Targets) -> Frames:
    neutral = seen.mean + seen.identity @ who
    links = torch.ones(len(points) - 1)
    return solve_frames(seen, goal, points[..., 2], neutral, links, CAMERA, FitSettings())


def test_angles_are_those_of_rx_ry_rz() -> None:
    a = torch.tensor([[0.3, -0.5, 0.2], [0.0, 0.9, -1.0]])
    assert torch.allclose(angles(rotation(a)), a, atol=1e-5)
    step = turned(rotation(a), torch.tensor([[0.0, 0.0, 0.1]]).expand(2, -1))
    assert torch.allclose(step @ step.transpose(1, 2), torch.eye(3).expand(2, -1, -1), atol=1e-5)
    # Positive yaw turns the nose, which points at the camera (-z), to the picture's left.
    assert (rotation(torch.tensor([0.0, 0.4, 0.0])) @ torch.tensor([0.0, 0, -1]))[0] < 0


def test_first_pose_is_near() -> None:
    seen, _, truth, points = scene(20)
    r, t = first_pose(points, seen.mean.expand(20, -1, -1), torch.ones(20, len(seen.points)), CAMERA)
    off = angles(r @ truth.rotation.transpose(1, 2)).abs()
    assert off.mean() < 0.05
    assert (t - truth.translation).norm(dim=1).mean() < 60


def test_frames_are_found_again() -> None:
    seen, who, truth, points = scene()
    f = solved(seen, who, points, goal_of(seen, points))
    assert angles(f.rotation @ truth.rotation.transpose(1, 2)).abs().mean() < 0.01
    assert mouth_r(f.expression, truth.expression, (25, 35)) > 0.97
    assert mouth_r(f.expression, truth.expression, (0, 10)) > 0.95


def test_wild_landmarks_and_wild_frames_do_little_harm() -> None:
    seen, who, truth, points = scene()
    rng = np.random.default_rng(1)
    wild = points.clone()
    hit = torch.from_numpy(rng.random(wild.shape[:2]) < 0.05)
    wild[hit] += torch.from_numpy(rng.normal(0, 30, (int(hit.sum()), 3)).astype(np.float32))
    belief = torch.ones(60)
    wild[30, :, :2] += 40 * torch.randn(wild.shape[1], 2, generator=torch.Generator().manual_seed(0))
    belief[30] = 0.02
    f = solved(seen, who, wild, goal_of(seen, wild, belief))
    assert mouth_r(f.expression, truth.expression, (25, 35)) > 0.9
    assert angles(f.rotation @ truth.rotation.transpose(1, 2)).abs()[30].max() < 0.15


def test_a_frame_feels_no_frame_beyond_the_steps() -> None:
    seen, who, _, points = scene(64)
    whole = solved(seen, who, points, goal_of(seen, points))
    part = solved(seen, who, points[12:], goal_of(seen, points[12:]))
    reach = FitSettings().steps + 1
    same = whole.expression[12 + reach :] - part.expression[reach:]
    assert same.abs().max() < 2e-2


def test_a_shot_knows_its_person() -> None:
    seen = view_of(builtin())
    found = []
    for person in (0, 1):
        for motion in (2, 3):
            _, _, f, _ = scene(32, seed=motion)
            rng = np.random.default_rng(person)
            who = torch.from_numpy(0.5 * rng.standard_normal(80).astype(np.float32))
            points = _filmed(seen, who, f._replace(expression=0.4 * f.expression))
            identity, _ = solve_shot(
                seen, goal_of(seen, points), points[..., 2], CAMERA, FitSettings(identity=0.1)
            )
            found.append(seen.identity @ identity)
    same = [(found[0] - found[1]).norm(dim=1).mean(), (found[2] - found[3]).norm(dim=1).mean()]
    other = [(found[k] - found[k + 2]).norm(dim=1).mean() for k in (0, 1)]
    assert max(same) < 0.6 * min(other)


def _filmed(seen: View, who: torch.Tensor, f: Frames) -> torch.Tensor:
    moved = torch.einsum("lij,bj->bli", seen.expression, f.expression)
    head = seen.mean + seen.identity @ who + moved
    camera_frame = head @ f.rotation.transpose(1, 2) + f.translation[:, None]
    depth = (camera_frame[..., 2] - 900) * (640 / 900)
    return torch.cat([CAMERA.project(camera_frame), depth[..., None]], 2)


def test_sway_is_measured_and_speech_is_not() -> None:
    model = builtin()
    seen = view_of(model)
    rng = np.random.default_rng(3)
    sine = torch.from_numpy(0.2 * smooth(rng, 200, 1, 9)[:, 0])
    expression = torch.from_numpy(smooth(rng, 200, 64, 3))
    aside = model.names.index("lips_uneven_0")
    swayed = expression.clone()
    swayed[:, aside] += 4 * sine
    slope, middle = measure(model, seen, swayed, sine)
    assert slope[aside] == pytest.approx(4, abs=0.8)
    left = swayed - (sine - middle)[:, None] * slope
    assert abs(np.corrcoef(left[:, aside], sine)[0, 1]) < 0.1
    brows = torch.from_numpy(model.coefficients_of(("brows", "lids")))
    assert slope[brows].abs().max() == 0
    assert uneven(model, seen)[0, 0].abs() < 0.05  # an opening jaw is even


def test_one_turn_during_one_smile_is_little_evidence() -> None:
    model = builtin()
    seen = view_of(model)
    ramp = torch.linspace(-1, 1, 200).tanh()
    smile = torch.zeros(200, 64)
    smile[:, model.names.index("lips_1")] = 2 * ramp
    slope, _ = measure(model, seen, smile, 0.2 * ramp)
    # They go together without any exception, and yet most of the smile stays.
    assert slope.abs().max() < 0.35 * 10


def clips_of(people: int, seed: int) -> tuple[torch.Tensor, ...]:
    """Identities true and fitted, and expressions, of people in three clips each: what a mouth does leaks."""
    rng = torch.Generator().manual_seed(seed)
    true = torch.randn(people, 1, 80, generator=rng).expand(-1, 3, -1) * torch.linspace(1, 0, 80)
    moved = 0.4 * torch.randn(people, 3, 64, generator=rng)
    leak = torch.randn(64, 80, generator=torch.Generator().manual_seed(1)) * (torch.arange(64) < 6)[:, None]
    return true, true + moved @ leak + 0.3 * torch.randn(people, 3, 80, generator=rng), moved


def test_what_leaks_into_identity_is_learned_and_taken_off() -> None:
    _, fitted, moved = clips_of(30, 2)
    measured = learn(fitted, moved, 1.0)
    true, fitted, moved = clips_of(12, 3)
    found = (fitted - moved @ measured["leak"]) @ measured["kept"].T
    assert (found - true).norm() < 0.6 * (fitted - true).norm()
    # Neither does it make everybody the same.
    assert found.mean(1).var(0).sum() > 0.4 * true.mean(1).var(0).sum()


def test_a_model_that_nobody_measured_keeps_its_identity() -> None:
    who, moved = torch.ones(80), torch.ones(4, 64)
    assert torch.equal(told("bfm", who, moved), who)
    assert not torch.equal(told("builtin", who, moved), who)


def test_light_is_found_again() -> None:
    rng = np.random.default_rng(0)
    normal = torch.nn.functional.normalize(
        torch.from_numpy(rng.normal([0, 0, -1], 0.6, (2, 400, 3)).astype(np.float32)), dim=-1
    )
    light = torch.from_numpy(0.15 * rng.standard_normal((2, 27)).astype(np.float32))
    albedo = torch.full((2, 400, 3), 0.5)
    seen = albedo * shade(normal, light)
    found = solve_light(normal, albedo, seen, torch.ones(2, 400), torch.zeros(27), 1e-3)
    assert (albedo * shade(normal, found) - seen).abs().mean() < 0.01


def test_a_render_shows_face_and_eyes_where_they_are() -> None:
    model = builtin()
    c = {name: np.zeros(k, np.float32) for name, k in (("identity", 80), ("expression", 64), ("texture", 80))}
    c |= {"light": np.zeros(27, np.float32), "rotation": np.zeros(3, np.float32)}
    c["translation"] = np.float32([0, 0, 900])
    shown = render(model, c, CAMERA, np.float32([0, 0, 256]))
    assert shown.picture.shape == (256, 256, 3)
    assert 0.1 < shown.cover.mean() < 0.5
    at = CAMERA.project(torch.from_numpy(model.mean + c["translation"])).numpy().astype(int)
    nose, eye = at[4], at[[386, 374]].mean(0).astype(int)
    assert shown.cover[nose[1], nose[0]] > 0.9
    assert shown.eyes[nose[1], nose[0]] == 0
    assert shown.eyes[eye[1], eye[0]] > 0.5
    assert shown.picture[nose[1], nose[0], 0] > 0.2
    assert shown.picture[0, 0].sum() == 0


def test_landmarks_without_a_face_are_not_found() -> None:
    mesh = np.ones((3, 478, 3), np.float32)
    mesh[1] = np.nan
    dlib = np.full((3, 68, 2), np.nan, np.float32)
    sighted = landmarks_of(mesh, dlib, np.float32([1, 1, 0]))
    assert sighted.found.tolist() == [True, False, False]
    assert sighted.points.shape == (3, 546, 3)
