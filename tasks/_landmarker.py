"""The mesh and the blendshapes of MediaPipe's face_landmarker.task, when the user has that file.

The bundle's networks are plain ones, so LiteRT runs them on our patches as they are; MediaPipe's own way in
would look for the face again in every frame. Private to tasks.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.errors import WeightsError
from tasks._mediapipe import Picture, Reading

__all__ = ["BundleMesh"]

F32 = NDArray[np.float32]
_MESH, _SHAPES = "face_landmarks_detector.tflite", "face_blendshapes.tflite"
# The points that the blendshapes' network takes, in its order: brows, lids, nose, lips, outline and irises.
_LOOKED_AT = np.fromstring(
    "0 1 4 5 6 7 8 10 13 14 17 21 33 37 39 40 46 52 53 54 55 58 61 63 65 66 67 70 78 80 81 82 84 87 "
    "88 91 93 95 103 105 107 109 127 132 133 136 144 145 146 148 149 150 152 153 154 155 157 158 "
    "159 160 161 162 163 168 172 173 176 178 181 185 191 195 197 234 246 249 251 263 267 269 270 "
    "276 282 283 284 285 288 291 293 295 296 297 300 308 310 311 312 314 317 318 321 323 324 332 "
    "334 336 338 356 361 362 365 373 374 375 377 378 379 380 381 382 384 385 386 387 388 389 390 "
    "397 398 400 402 405 409 415 454 466 468 469 470 471 472 473 474 475 476 477 ",
    dtype=np.int64,
    sep=" ",
)


class BundleMesh:
    """`tasks._mediapipe.MeshNetwork` of a bundle."""

    side = 256

    def __init__(self, bundle: Path) -> None:
        try:
            with zipfile.ZipFile(bundle) as files:
                self._mesh, self._shapes = (_network(files.read(name)) for name in (_MESH, _SHAPES))
        except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
            raise WeightsError(
                f"not a face landmarker bundle: {error}", where=bundle, do="fetch face_landmarker.task again"
            ) from error

    def __call__(self, patch: Picture) -> Reading:
        points, score = _run(self._mesh, patch[None].astype(np.float32) / np.float32(255), 2)
        mesh = points.reshape(478, 3) / np.float32(self.side)
        # Points in pixels, as it was trained; it minds neither where they lie nor how large the face is.
        (shapes,) = _run(self._shapes, points.reshape(1, 478, 3)[:, _LOOKED_AT, :2], 1)
        presence = 1 / (1 + np.exp(-float(score.reshape(-1)[0])))
        return Reading(mesh, presence, shapes.reshape(-1))


def _network(content: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    network = Interpreter(model_content=content, num_threads=1)
    network.allocate_tensors()
    return network


def _run(network: Any, values: F32, outputs: int) -> list[F32]:
    network.set_tensor(network.get_input_details()[0]["index"], np.ascontiguousarray(values, np.float32))
    network.invoke()
    told = network.get_output_details()[:outputs]
    return [np.array(network.get_tensor(one["index"]), np.float32) for one in told]
