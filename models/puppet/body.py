"""One person's head put together: every part's vertices for an expression, their places in the atlas."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.puppet import atlas as at
from models.puppet import eyes, mouth
from models.puppet.beard import Beard, beard
from models.puppet.deformers import Deformer
from models.puppet.ears import ear
from models.puppet.expression import INDEX
from models.puppet.figure import LIP_RINGS, figure
from models.puppet.hair import Hair, hair
from models.puppet.head import NECK_RING, skin, skull_rings
from models.puppet.identity import Traits, warp
from models.puppet.light import LAMBERT, harmonics, transfer
from models.puppet.mesh import normals, smooth_vertices, weld_edges

__all__ = ["Body", "Part"]

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


@dataclass(frozen=True)
class Part:
    """Where a piece lies in the body's vertices and triangles."""

    name: str
    vertices: slice
    triangles: slice


class Body:
    """Geometry of one person. Vertices are in head millimetres; triangles and atlas places are fixed."""

    def __init__(self, who: Traits, seed: int, side: int) -> None:
        self.who, self.side = who, side
        self.neutral = warp(figure().mean, who)
        self.deformer = Deformer(self.neutral)
        face = skin()
        self._rings = warp(skull_rings(len(face.rim)).reshape(-1, 3), who)
        self.balls = tuple(eyes.fit_eyeball(self.neutral, k) for k in (0, 1))
        self._teeth = [(warp(p, who), uv, t) for p, uv, t in (mouth.teeth(True), mouth.teeth(False))]
        self._tongue, tongue_uv, tongue_tri = mouth.tongue_neutral()
        self._tongue = warp(self._tongue, who)
        # Under long hair ears would only poke through the strands: they stay inside the head.
        tuck = np.float32([0.8, 1, 1]) if who.style in ("long", "bob", "curly") else np.float32([1, 1, 1])
        self._ears = [(warp(p, who) * tuck, uv, t, shade) for p, uv, t, shade in (ear(False), ear(True))]
        self.hair: Hair = hair(who, seed)
        self.beard: Beard = beard(who)
        self.parts: dict[str, Part] = {}
        self._collect(self._pieces(tongue_uv, tongue_tri))
        self._light()

    def _pieces(self, tongue_uv: F32, tongue_tri: I32) -> list[tuple[str, I32, F32]]:
        """Name, triangles and atlas places of every part, in the order of `vertices`."""
        face, side, ears, teeth = skin(), self.side, self._ears, self._teeth
        out = [("skin", face.triangles, at.place(face.chart / 2 + 0.5, at.SKIN, side))]
        for k in (0, 1):
            beside = np.float32([0.5 + (k - 0.5) * 0.90, 0.55])
            out.append((f"ear{k}", ears[k][2], at.place(beside + ears[k][1] * 0.03, at.SKIN, side)))
        out += [
            (f"eye{k}", b.triangles, at.place(b.directions[:, :2], at.EYE, side))
            for k, b in enumerate(self.balls)
        ]
        out += [(f"margin{k}", eyes.margin_triangles(k), self._margin_uv()) for k in (0, 1)]
        for k in (0, 1):
            u, v = teeth[k][1].T
            out.append(
                (f"teeth{k}", teeth[k][2], at.place(np.stack([u, (v + 0.75) / 1.75], 1), at.TEETH, side))
            )
        out.append(("tongue", tongue_tri, at.place(tongue_uv, at.MOUTH, side)))
        rows = np.repeat(np.arange(mouth.CAVITY_ROWS), 20) / mouth.CAVITY_ROWS
        columns = np.tile(np.arange(20), mouth.CAVITY_ROWS) / 20
        bag = np.stack([0.1 + 0.25 * columns, rows], 1)
        out.append(("cavity", mouth.cavity_triangles(), at.place(bag, at.MOUTH, side)))
        out.append(("hair", self.hair.triangles, at.place(self.hair.places, at.HAIR, side, wrap=True)))
        strip = np.stack([np.tile(np.linspace(0, 1, 17), 2), np.repeat([0.02, 0.98], 17)], 1)
        # Lower lashes start beyond the dark root line of the texture: single hairs, no line.
        lash = np.concatenate([strip, strip * [1, 0.42] + [0, 0.56]])
        out += [(f"lash{k}", eyes.lash_triangles(), at.place(lash, at.LASH, side)) for k in (0, 1)]
        out.append(("beard", self.beard.triangles, at.place(self.beard.places, at.HAIR, side, wrap=True)))
        return out

    def _collect(self, pieces: list[tuple[str, I32, F32]]) -> None:
        """Number the vertices and triangles of all parts through."""
        vertex = triangle = 0
        for name, tri, uv in pieces:
            span = slice(vertex, vertex + len(uv)), slice(triangle, triangle + len(tri))
            self.parts[name] = Part(name, *span)
            vertex, triangle = vertex + len(uv), triangle + len(tri)
        moved = [tri + self.parts[name].vertices.start for name, tri, _ in pieces]
        self.triangles = np.concatenate(moved).astype(np.int32)
        self.uv = np.concatenate([uv for _, _, uv in pieces]).astype(np.float32)
        self.inside = slice(self.parts["teeth0"].vertices.start, self.parts["cavity"].vertices.stop)
        self.wet_start, self.wet_stop = self.parts["eye0"].triangles.start, self.parts["eye1"].triangles.stop
        self.cut = np.full(vertex, 0.4, np.float32)
        self.cut[self.parts["hair"].vertices] = self.hair.cut
        self.cut[self.parts["beard"].vertices] = self.beard.cut

    def _margin_uv(self) -> F32:
        # The wet rim of the lids takes the pink of the mouth's texture.
        t = np.tile(np.arange(16) / 16, 2)
        return at.place(np.stack([0.1 + 0.2 * t, np.full(32, 0.5)], 1), at.MOUTH, self.side)

    def landmarks(self, row: F32) -> F32:
        """All 478 landmarks in head millimetres."""
        face = self.deformer(row)
        look = eyes.eye_direction(float(row[INDEX["gaze_x"]]), float(row[INDEX["gaze_y"]]))
        return np.concatenate([face, *(eyes.iris_points(ball, look) for ball in self.balls)])

    def vertices(self, row: F32) -> tuple[F32, F32, float]:
        """Vertices of all parts (V, 3), atlas places with the eyes' gaze applied, and the lips' gap in mm."""
        face = skin()
        lm = self.landmarks(row)
        fine = face.face @ lm[:468]
        rings = self._rings.copy()
        loft = face.loft @ np.concatenate([fine[face.rim], rings])
        jaw = float(row[INDEX["jaw_open"]])
        pieces = [fine, loft, *(e[0] for e in self._ears), *(b.points for b in self.balls)]
        pieces += [eyes.lid_margin(lm, k) for k in (0, 1)]
        pieces += [self._teeth[0][0], mouth.with_jaw(self._teeth[1][0], jaw)]
        pieces.append(
            mouth.tongue(self._tongue, jaw, float(row[INDEX["tongue_up"]]), float(row[INDEX["tongue_out"]]))
        )
        pieces += [mouth.cavity(lm), self.hair.points]
        length = 1.0 if self.who.sex == "female" else 0.8
        pieces += [eyes.lash_strip(lm, k, length) for k in (0, 1)]
        hull = np.concatenate([fine, loft]).astype(np.float32)
        outward = normals(hull, face.triangles)[self.beard.source] if len(self.beard.source) else 0
        pieces.append(hull[self.beard.source] + self.beard.lift[:, None] * outward)
        look = eyes.eye_direction(float(row[INDEX["gaze_x"]]), float(row[INDEX["gaze_y"]]))
        uv = self.uv.copy()
        for k, ball in enumerate(self.balls):
            uv[self.parts[f"eye{k}"].vertices] = at.place(
                eyes.texture_places(ball, look) / 2 + 0.5, at.EYE, self.side
            )
        gap = float(np.linalg.norm(lm[13] - lm[14]))
        return np.concatenate(pieces).astype(np.float32), uv, gap

    def neck_share(self) -> F32:
        """How much of each vertex stays with the shoulders: 0 on the head, 1 at the base of the neck."""
        face = skin()
        share = np.zeros(len(self.uv), np.float32)
        columns, rows = len(face.rim), len(face.loft) // len(face.rim)
        t = np.clip((np.arange(1, rows + 1) / rows * (NECK_RING + 1) - 2.2) / (NECK_RING - 1.6), 0, 1)
        start = len(face.face)
        turn = np.arange(columns) / columns * 2 * np.pi
        # Paths over the skull reach the neck later than paths under the chin.
        late = (1 + np.cos(turn)) / 2
        ramp = np.clip((t[:, None] - 0.5 * late) / (1 - 0.5 * late), 0, 1) ** 1.5
        share[start : start + rows * columns] = ramp.ravel()
        part = self.parts["hair"].vertices
        share[part] = self.hair.fall
        share[self.parts["beard"].vertices] = share[self.beard.source]
        return share

    def _light(self) -> None:
        """Answers of all vertices to the light, at rest, shadows included."""
        # Lips are lit ajar: baked shut, their insides would stay black when they open.
        ajar = np.zeros(len(INDEX), np.float32)
        ajar[[INDEX["jaw_open"], INDEX["lower_drop"], INDEX["upper_raise"]]] = 0.3
        points, _, _ = self.vertices(ajar)
        self.rest_points = points
        self.rest_normals = self._normals(points)
        solid = [self.parts[n].triangles for n in ("skin", "ear0", "ear1")]
        blockers = np.concatenate(
            [self.triangles[s] for s in solid] + [self.hair.solid + self.parts["hair"].vertices.start]
        )
        answer = transfer(points, self.rest_normals, (points, blockers))
        answer *= np.clip(answer[:, :1] / 0.282095, 0.05, 1) ** 0.45
        answer[self.parts["hair"].vertices] *= self.hair.depth[:, None]
        self._fold = _fold_weights(skin().face @ figure().mean[:468])
        self.rims = np.unique(LIP_RINGS[2:])
        for k, piece in enumerate(self._ears):
            answer[self.parts[f"ear{k}"].vertices] *= piece[3][:, None]
        answer[self.inside] = (harmonics(self.rest_normals[self.inside]) * LAMBERT) * self._depth_inside(
            points
        )
        skin_part = np.concatenate([self.triangles[s] for s in solid[:1]])
        count = self.parts["skin"].vertices.stop
        answer[:count] = smooth_vertices(answer[:count], skin_part, 1)
        answer[: len(skin().face)] = _lit_lips(answer[: len(skin().face)])
        # Light wanders under the skin, red the farthest: each colour sees its own blur of the shadows.
        self.answers = np.stack([answer, answer, answer])
        wide = smooth_vertices(answer[:count], skin_part, 2)
        self.answers[1, :count] = 0.8 * answer[:count] + 0.2 * wide
        self.answers[0, :count] = 0.45 * answer[:count] + 0.55 * wide
        bearded = self.parts["beard"].vertices
        self.answers[:, bearded] = self.answers[:, self.beard.source] * self.beard.depth[:, None]
        answer[bearded] = answer[self.beard.source]
        self.openness = np.clip(answer[:, 0] / 0.282095, 0, 1)
        # Wet eyes shine even in the shade of the lids.
        self.openness[self.parts["eye0"].vertices.start : self.parts["eye1"].vertices.stop] = 1

    def folds(self, row: F32) -> F32:
        """Light lost in the fold beside the mouth when a cheek is drawn up, by skin vertex (N,)."""
        smile = row[[INDEX["smile_right"], INDEX["smile_left"]]] + 0.4 * row[INDEX["cheek_raise"]]
        depth = (0.10 + 0.012 * (self.who.age - 20)) * np.clip(smile, 0, 1.2)
        return 1 - np.clip(self._fold @ depth, 0, 0.5)

    def _depth_inside(self, points: F32) -> F32:
        """The mouth's inside is lit as if open, darker towards the throat (V, 1)."""
        front = float(points[self.parts["teeth0"].vertices, 2].min())
        fade = np.exp(-np.clip(points[self.inside, 2] - front, 0, 60) / 24.0)
        stop = self.parts["cavity"].vertices.start - self.inside.start
        fade[stop:] *= 0.6
        return 0.9 * fade[:, None]

    def _normals(self, points: F32) -> F32:
        n = normals(points, self.triangles)
        part = self.parts["hair"].vertices
        n[part] = self.hair.normals
        n[self.parts["beard"].vertices] = n[self.beard.source]
        for k, ball in enumerate(self.balls):
            n[self.parts[f"eye{k}"].vertices] = ball.directions
        return n

    def current_normals(self, points: F32) -> F32:
        return self._normals(points)

    def shell(self) -> tuple[F32, I32]:
        """What casts shadows on the shoulders: skin and the inner hair."""
        start = self.parts["hair"].vertices.start
        skin_part = self.triangles[self.parts["skin"].triangles]
        return self.rest_points, np.concatenate([skin_part, self.hair.solid + start]).astype(np.int32)


def _lit_lips(answer: F32) -> F32:
    """Give the lips' inner rims light from the lips' front: wet lips glow, they are not a black edge."""
    out = answer.copy()
    for ring, share in ((2, 0.95), (3, 0.85)):
        out[LIP_RINGS[ring]] = share * answer[LIP_RINGS[1]]
    edges, _ = weld_edges(figure().triangles)
    inner = np.isin(edges, LIP_RINGS[1:]).all(1)
    out[468 + np.flatnonzero(inner)] = out[edges[inner]].mean(1)
    return out


def _fold_weights(p: F32) -> F32:
    """How near face vertices lie to the nasolabial folds, picture's left then right (N, 2)."""
    columns = []
    for path in ((129, 203, 206, 216, 212), (358, 423, 426, 436, 432)):
        line = figure().mean[list(path)]
        near = np.full(len(p), np.inf)
        for a, b in pairwise(line):
            t = np.clip((p - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
            near = np.minimum(near, np.linalg.norm(p - a - t[:, None] * (b - a), axis=1))
        columns.append(np.exp(-((near / 3.4) ** 2)))
    return np.stack(columns, 1).astype(np.float32)
