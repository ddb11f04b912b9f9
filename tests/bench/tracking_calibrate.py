"""Learns what tracking knows of the mesh from puppets, and writes it to models/track/calibration.safetensors.

    python -m tests.bench.tracking_calibrate

Films 36 puppets in motion and 120 in eight stills each (twenty minutes; kept under the temporary folder),
none of them among those that `tests.bench.tracking` reports on, and fits: the mean face that the mesh sees;
how a person's bones tell the pitch and the size that are misread; the weights of the action units; the gain
of the gaze.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from models.puppet import INDEX, Puppet, about_neck
from models.puppet.figure import figure
from models.track.calibration import STORED, Calibration
from models.track.camera import Camera, rotations
from models.track.eyes import gaze_angles
from models.track.person import _posed, _seen, bones
from models.track.pose import solve
from models.track.regions import region_of, to_picture
from models.track.smoothing import smoothed
from models.track.units import UNITS, sides
from tasks._finding import search
from tasks._mediapipe import mesh
from tasks._pictures import patch, split
from tests.bench.puppet_faces import motion, wander

SIZE = 256
CAMERA = Camera(2.5 * SIZE, SIZE / 2, SIZE / 2)
ACTED, TALKING, STILLS = range(100, 120), range(120, 136), range(200, 320)
TRUTHS = ("landmarks", "pose", "action_units", "gaze")

BROW = [55, 65, 52, 53, 46, 70, 63, 105, 66, 107, 9, 8]
EYE = [33, 133, 159, 145, 160, 144, 158, 153, 161, 163, 157, 154, 173, 155, 246, 7]
LOWER_LID = [110, 24, 23, 22, 26, 25, 31, 228, 229, 230, 231, 232, 233]
CHEEK = [205, 50, 101, 118, 117, 123, 36, 187, 147, 207, 216, 206, 203, 142]
NOSE = [48, 64, 98, 97, 2, 4, 5, 129, 49, 131, 198, 217, 6, 197, 195]
MOUTH = [61, 185, 40, 39, 37, 0, 146, 91, 181, 84, 17, 78, 191, 80, 81, 82, 13, 95, 88, 178, 87, 14, 76, 62]
CHIN = [152, 148, 176, 149, 200, 199, 18, 83, 182, 106, 43, 57, 175]
# Which points each unit may look at; the other half of the face is folded onto this one.
LOOKS_AT: Mapping[int, list[int]] = {
    1: BROW + EYE[:2],
    2: BROW + EYE[:2],
    4: BROW + EYE[:2],
    5: EYE,
    6: LOWER_LID + CHEEK + EYE,
    7: EYE + LOWER_LID,
    9: NOSE + BROW,
    10: MOUTH + NOSE,
    12: MOUTH + CHEEK,
    14: MOUTH + CHEEK,
    15: MOUTH + CHIN,
    17: MOUTH + CHIN,
    20: MOUTH + CHEEK,
    23: MOUTH + CHIN,
    25: MOUTH,
    26: MOUTH + CHIN + NOSE,
    45: EYE,
}
RIDGE, BONES_RIDGE = 2000.0, {"nod": 30.0, "size": 100.0}


class Take(NamedTuple):
    """One person: what the mesh saw, and what was true."""

    seen: np.ndarray  # (T, 478, 3) px
    landmarks: np.ndarray
    pose: np.ndarray
    action_units: np.ndarray
    gaze: np.ndarray


def acted(seed: int, frames: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Every control at work, and a calm face in between."""
    rows, angles = motion(seed + 7000, frames)
    rng = np.random.default_rng([seed, 0x51C])

    def act(name: str, low: float, pace: float) -> None:
        rows[:, INDEX[name]] = np.clip(low + 0.55 * wander(rng, frames, pace), 0, 1)

    for name in ("frown", "dimple", "chin_raise", "lips_press", "lower_tuck"):
        act(name, -0.6, 5)
    for name in ("cheek_raise", "nose_wrinkle", "lid_wide", "lid_tighten"):
        act(name, -0.35, 7)
    for name in ("brow_inner_raise", "brow_outer_raise", "brow_lower"):
        act(name, -0.2, 7)
    eyes = [INDEX[name] for name in ("gaze_x", "gaze_y", "lid_left", "lid_right")]
    kept = rows[:, eyes].copy()
    rows *= np.clip(0.5 + 1.2 * wander(rng, frames, 15), 0, 1)[:, None]
    rows[:, eyes] = kept
    return rows, angles * rng.uniform(0.5, 1.2)


def stills(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Eight moments of one person."""
    rng = np.random.default_rng([seed, 77])
    rows, _ = acted(seed, 400)
    picked = rows[rng.integers(0, 400, 8)] * (rng.random(8) < 0.7)[:, None]
    angles = np.radians([10, 22, 7]) * rng.standard_normal((8, 3)).clip(-1.5, 1.5)
    picked[0], angles[0] = 0, 0
    return picked, angles


def watched(seed: int, rows: np.ndarray, angles: np.ndarray, still: bool) -> Take:
    """What the mesh sees of a puppet, followed as `tasks.faces` follows."""
    puppet, network = Puppet(seed, SIZE), mesh("mesh")
    rng = np.random.default_rng([seed, 3])
    drift = np.stack([s * wander(rng, len(rows), 20) for s in (15, 10, 60)], 1)
    region, seen, truths = None, [], []
    for row, angle, shift in zip(rows, angles, drift, strict=True):
        pose = about_neck(angle, puppet.rest_pose)
        pose[3:] += shift
        row = np.asarray(row, np.float32)
        planes = split(cv2.cvtColor(puppet.render(row, pose), cv2.COLOR_RGB2YUV_I420))
        if region is None or still:
            found = search(planes, True)
            if not found:
                continue
            region = found[0]
            for _ in range(3):
                region = region_of(to_picture(network(patch(planes, region, 192)[0]).points, region))
        points = to_picture(network(patch(planes, region, 192)[0]).points, region)
        region = region_of(points)
        seen.append(points)
        truths.append(puppet.truth(row, pose))
    return Take(np.stack(seen), *(np.stack([getattr(t, name) for t in truths]) for name in TRUTHS))


def takes(kind: str, seeds: range, act: Callable[[int], tuple[np.ndarray, np.ndarray]]) -> Iterator[Take]:
    """Of every seed, filmed once."""
    folder = Path(tempfile.gettempdir()) / "memdub-tracking" / "calibration"
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        path = folder / f"{kind}-{seed}.npz"
        if not path.exists():
            take = watched(seed, *act(seed), still=kind == "stills")
            np.savez(path, **take._asdict())
            print(f"{kind} {seed}", flush=True)
        yield Take(**np.load(path))


def mean_face(films: list[Take]) -> np.ndarray:
    """Where each point must lie in the head for the mesh to see it where it does, given the true poses."""
    normal, target = np.zeros((478, 3, 3)), np.zeros((478, 3))
    for film in films:
        r, t = rotations(film.pose[:, :3].astype(np.float64)), film.pose[:, 3:].astype(np.float64)
        rays = (film.seen[:, :, :2] - SIZE / 2) / CAMERA.focal
        for k in range(2):
            a = r[:, None, k] - rays[:, :, k, None] * r[:, None, 2]
            b = rays[:, :, k] * t[:, None, 2] - t[:, None, k]
            normal += np.einsum("tni,tnj->nij", a, a)
            target += np.einsum("tni,tn->ni", a, b)
    face = np.linalg.solve(normal, target[..., None])[..., 0]
    return (face + face[figure().mirror] * [-1, 1, 1]) / 2


def rigid_points(face: np.ndarray) -> np.ndarray:
    """A third of all points, but for the lips: chin and cheeks are forgiven by the solver's weights."""
    lips = (np.abs(face[:, 0]) < 32) & (face[:, 1] > 28) & (face[:, 1] < 62)
    return np.flatnonzero(~lips[:468])[::3]


def from_bones(people: list[Take], known: Calibration) -> tuple[np.ndarray, np.ndarray]:
    """Ridge regressions of misread pitch and size on bones; prints how well people left out are told."""
    rows, wrong = [], []
    for person in people:
        poses = solve(person.seen[:, known.rigid], known.face[known.rigid].astype(np.float64), CAMERA)
        nod = (poses.rows[:, 0] - person.pose[:, 0]).mean()
        wrong.append([nod, np.log(poses.t[:, 2] / person.pose[:, 5]).mean()])
        rows.append(bones(person.seen, CAMERA, known))
    x, found = np.asarray(rows, np.float64), []
    gram = x @ x.T
    for (name, ridge), y in zip(BONES_RIDGE.items(), np.asarray(wrong).T, strict=True):
        solved = np.linalg.inv(gram + ridge * np.eye(len(x)))
        centred = y - y.mean()
        hat = gram @ solved
        left_out = (centred - hat @ centred) / (1 - np.diag(hat))
        print(f"{name}: {np.abs(y).mean():.4f} misread on average, {np.abs(left_out).mean():.4f} left")
        found.append(np.r_[x.T @ solved @ centred, y.mean()].astype(np.float32))
    return found[0], found[1]


def unit_weights(films: list[Take], known: Calibration) -> np.ndarray:
    """Ridge regressions of action units on how points move within each person."""
    x, y = [], []
    for film in films:
        _, own = _posed(film.seen, _seen(film.seen, CAMERA, known), CAMERA, known, _nod(film, known))
        half = sides(own, known.mirror)[:, known.unit_points].reshape(len(own), -1).astype(np.float64)
        x.append(half - half.mean(0))
        y.append(film.action_units - film.action_units.mean(0))
    moved, acted_units = np.concatenate(x), np.concatenate(y)
    at = {point: k for k, point in enumerate(known.unit_points.tolist())}
    weights = np.zeros((moved.shape[1], len(UNITS)), np.float32)
    for k, unit in enumerate(UNITS):
        columns = np.concatenate([3 * at[p] + np.arange(3) for p in LOOKS_AT[unit]])
        a = moved[:, columns]
        normal = a.T @ a + RIDGE * np.eye(len(columns))
        weights[columns, k] = np.linalg.solve(normal, a.T @ acted_units[:, k])
    parted = _between_lips(at, len(weights))
    gap = moved @ parted
    # Parted lips are a length, not a guess: what a regression adds to it is the puppets' own.
    weights[:, UNITS.index(25)] = parted * ((gap @ acted_units[:, UNITS.index(25)]) / (gap @ gap))
    return weights


def _between_lips(at: Mapping[int, int], length: int) -> np.ndarray:
    """Weights that measure how high the mouth stands open, at three places: two are folded into one."""
    weights = np.zeros(length, np.float32)
    for upper, lower, share in ((82, 87, 2 / 3), (13, 14, 1 / 3)):
        weights[3 * at[lower] + 1], weights[3 * at[upper] + 1] = share, -share
    return weights


def gaze_gain(films: list[Take], known: Calibration) -> np.ndarray:
    """By how much irises of the mesh move less than eyes."""
    seen, true = [], []
    for film in films:
        _, own = _posed(film.seen, _seen(film.seen, CAMERA, known), CAMERA, known, _nod(film, known))
        looks = gaze_angles(own, np.zeros((2, 2), np.float32)).mean(1)
        seen.append(looks - looks.mean(0))
        true.append(film.gaze - film.gaze.mean(0))
    a, b = np.concatenate(seen), np.concatenate(true)
    print("gaze:", [f"r {np.corrcoef(a[:, k], b[:, k])[0, 1]:.2f}" for k in (0, 1)])
    return ((a * b).sum(0) / (a * a).sum(0)).astype(np.float32)


def _nod(person: Take, known: Calibration) -> float:
    return float(np.r_[bones(person.seen, CAMERA, known), 1.0] @ known.nod)


def _steady(film: Take) -> Take:
    every = np.ones(len(film.seen), bool)
    return film._replace(seen=smoothed(film.seen.astype(np.float32), every, np.zeros(len(every), np.int32)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args()
    films = [*takes("acted", ACTED, acted), *takes("talking", TALKING, lambda seed: motion(seed + 7000, 160))]
    films = [_steady(film) for film in films]
    people = films + list(takes("stills", STILLS, stills))
    face = mean_face(films)
    points = np.array(sorted({p for part in LOOKS_AT.values() for p in part}), np.int32)
    none = np.zeros(0, np.float32)
    mirror = figure().mirror.astype(np.int32)
    known = Calibration(
        face.astype(np.float32), mirror, rigid_points(face).astype(np.int32), none, none, points, none, none
    )
    nod, size = from_bones(people, known)
    known = known._replace(nod=nod, size=size)
    known = known._replace(unit_weights=unit_weights(films, known), gaze=gaze_gain(films, known))
    save_file({name: np.ascontiguousarray(values) for name, values in known._asdict().items()}, STORED)
    STORED.chmod(0o644)
    print(STORED)


if __name__ == "__main__":
    main()
