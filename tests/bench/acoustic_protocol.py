"""How much of a stranger's lips a linear look at sound features tells: clips, lip gaps, ridge regression.

The target is the gap between the inner lips over the distance of the eyes, less its moving average of two
seconds; a ridge on a window of 6 frames to both sides predicts it. `across` fits on all clips but one and
tests on that one. Sound and picture are out of step by frames that differ from clip to clip: `offsets`
measures them with features that ours are held against. Called by `tests.bench.acoustic`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mediapipe as mp
import numpy as np
from numpy.typing import NDArray

from storage.media import VideoReader, read_sound

__all__ = ["FPS", "LATE", "Clip", "across", "interval", "offsets", "read_clip", "target", "windows", "within"]

FPS = 25
REACH = 6
LATE = "obama_weekly_20s"
_UPPER, _LOWER, _EYES = 13, 14, (33, 263)
_ALPHAS = 10.0 ** np.arange(0, 6.01, 0.5)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Clip:
    """A clip's sound at 16 kHz and its lip gap a frame, NaN where no face was found."""

    name: str
    sound: NDArray[np.float32]
    gap: Array


def read_clip(file: Path, cache: Path | None = None) -> Clip:
    """Sound and lip gap of a video; the gap is kept in `cache`, since the face mesh takes its time."""
    kept = cache / f"{file.stem}.npy" if cache else None
    if kept and kept.is_file():
        gap = np.load(kept)
    else:
        gap = _gaps(file)
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.save(kept, gap)
    return Clip(file.stem, np.asarray(read_sound(file, rate=16000, mono=True), np.float32), gap)


def _gaps(file: Path) -> Array:
    mesh = mp.solutions.face_mesh.FaceMesh(static_image_mode=False, max_num_faces=1, refine_landmarks=True)
    with mesh:
        return np.array([_gap(mesh, _near_face(picture)) for picture in VideoReader(file).read()])


def _near_face(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The upper part of a portrait picture: a face in a whole body is too small to be found."""
    height, width = picture.shape[:2]
    return np.ascontiguousarray(picture[: height // 2] if height > 1.5 * width else picture)


def _gap(mesh: mp.solutions.face_mesh.FaceMesh, picture: NDArray[np.uint8]) -> float:
    found = mesh.process(picture).multi_face_landmarks
    if not found:
        return float("nan")
    size = np.array([picture.shape[1], picture.shape[0]])
    at = np.array([(p.x, p.y) for p in found[0].landmark]) * size
    return float(np.linalg.norm(at[_UPPER] - at[_LOWER]) / np.linalg.norm(at[_EYES[0]] - at[_EYES[1]]))


def target(gap: Array) -> Array:
    """The gap less its moving average of two seconds."""
    known = np.isfinite(gap)
    filled = np.interp(np.arange(len(gap)), np.flatnonzero(known), gap[known])
    ones = np.ones(2 * FPS + 1)
    average = np.convolve(filled, ones, "same") / np.convolve(np.ones(len(filled)), ones, "same")
    moved = filled - average
    return np.where(known, moved, np.nan)


def windows(features: Array, frames: int, offset: int = 0) -> Array:
    """(M, n) features of the whole sound, on any even clock, to (frames, 13 n) with their neighbours.

    Averaged over each video frame and standardised; sound that is late by `offset` frames is moved back.
    """
    rate = len(features) / frames
    moved = _moved(np.asarray(features, np.float64), round(offset * rate))
    total = np.concatenate([np.zeros((1, moved.shape[1])), moved.cumsum(0)])
    edges = np.arange(frames + 1) * rate
    at = np.stack([np.interp(edges, np.arange(len(total)), column) for column in total.T], 1)
    mean = np.diff(at, axis=0) / rate
    mean = (mean - mean.mean(0)) / (mean.std(0) + 1e-8)
    padded = np.pad(mean, ((REACH, REACH), (0, 0)), mode="edge")
    return np.concatenate([padded[i : i + frames] for i in range(2 * REACH + 1)], 1)


def _moved(features: Array, rows: int) -> Array:
    if rows >= 0:
        return np.concatenate([features[rows:], np.repeat(features[-1:], rows, 0)])
    return np.concatenate([np.repeat(features[:1], -rows, 0), features[:rows]])


def offsets(clips: Sequence[Clip], features: Mapping[str, Array], rounds: int = 2) -> dict[str, int]:
    """Frames by which each clip's sound is late: where these features do best across. Their median is 0."""
    y = {clip.name: target(clip.gap) for clip in clips}
    lags = range(-5, 10)
    x = {(c.name, lag): windows(features[c.name], len(c.gap), lag) for c in clips for lag in lags}
    found = dict.fromkeys(y, 0)
    for _ in range(rounds):
        for name in found:
            rest = {other: x[other, late] for other, late in found.items() if other != name}
            scores = [across({**rest, name: x[name, lag]}, y, name)[0] for lag in lags]
            found[name] = lags[int(np.argmax(scores))]
        middle = int(np.median(list(found.values())))
        found = {name: int(np.clip(late - middle, lags[0], lags[-1])) for name, late in found.items()}
    return found


@dataclass(frozen=True)
class _Moments:
    """What ridge regression needs of a clip: sums, so that leaving one clip out is a subtraction."""

    xx: Array
    xy: Array


def _moments(x: Array, y: Array) -> _Moments:
    known = np.isfinite(y)
    return _Moments(x[known].T @ x[known], x[known].T @ y[known])


def _weights(moments: Sequence[_Moments], alphas: Array) -> Array:
    """(alphas, n): solutions for every strength at once."""
    xx, xy = sum(m.xx for m in moments), sum(m.xy for m in moments)
    values, vectors = np.linalg.eigh(xx)
    turned = vectors.T @ xy
    return np.stack([vectors @ (turned / (np.maximum(values, 0) + alpha)) for alpha in alphas])


def _alike(predicted: Array, y: Array) -> float:
    known = np.isfinite(y)
    return float(np.corrcoef(predicted[known], y[known])[0, 1])


def across(x: Mapping[str, Array], y: Mapping[str, Array], tested: str) -> tuple[float, Array]:
    """Correlation and prediction on `tested`, fitted on all others of x.

    The strength is the best for the fitted clips among themselves, each left out in turn.
    """
    fitted = [name for name in x if name != tested]
    moments = {name: _moments(x[name], y[name]) for name in fitted}
    scores = np.zeros(len(_ALPHAS))
    for left in fitted:
        solutions = _weights([moments[name] for name in fitted if name != left], _ALPHAS)
        scores += [_alike(x[left] @ solution, y[left]) for solution in solutions]
    best = _weights(list(moments.values()), _ALPHAS[[int(scores.argmax())]])[0]
    predicted = x[tested] @ best
    return _alike(predicted, y[tested]), predicted


def within(x: Array, y: Array, folds: int = 6) -> float:
    """Correlation inside one clip, contiguous folds; the strength is the best among the fitted folds."""
    parts = np.array_split(np.flatnonzero(np.isfinite(y)), folds)
    alike = x @ x.T
    predicted = np.full(len(y), np.nan)
    for k, part in enumerate(parts):
        rest = [one for i, one in enumerate(parts) if i != k]
        scores = np.zeros(len(_ALPHAS))
        for inner in rest:
            fitted = np.concatenate([one for one in rest if one is not inner])
            solutions = _dual(alike, y, fitted, inner, _ALPHAS)
            scores += [np.nan_to_num(_alike(one, y[inner])) for one in solutions]
        best = _ALPHAS[[int(scores.argmax())]]
        predicted[part] = _dual(alike, y, np.concatenate(rest), part, best)[0]
    known = np.isfinite(predicted)
    return _alike(predicted[known], y[known])


def _dual(
    alike: Array, y: Array, fitted: NDArray[np.int64], asked: NDArray[np.int64], alphas: Array
) -> Array:
    """(alphas, len(asked)): the same ridge by frames instead of features, of which a clip has more."""
    values, vectors = np.linalg.eigh(alike[np.ix_(fitted, fitted)])
    turned, back = vectors.T @ y[fitted], alike[np.ix_(asked, fitted)] @ vectors
    return np.stack([back @ (turned / (np.maximum(values, 0) + alpha)) for alpha in alphas])


def interval(differences: Sequence[float], seed: int = 0, draws: int = 10_000) -> tuple[float, float]:
    """Where 95 of 100 bootstrap means over clips lie."""
    values = np.asarray(differences)
    drawn = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
    low, high = np.quantile(values[drawn].mean(1), [0.025, 0.975])
    return float(low), float(high)
