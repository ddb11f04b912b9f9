"""The truth of a filmed puppet as Parquet, one row a frame. `tasks.film` writes it, anyone reads it.

Lists are fixed in size and flat, so that pandas, DuckDB and numpy read them without help:
`numpy.stack(table["landmarks_px"]).reshape(-1, 478, 3)`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.puppet import ACTION_UNITS, CONTROLS, MOUTH, FrameTruth

__all__ = ["TRUTH_SCHEMA", "TruthWriter"]

_POSE = tuple(f"rotation_{a}_rad" for a in "xyz") + tuple(f"translation_{a}_mm" for a in "xyz")
_EYES = ("lid_left", "lid_right", "gaze_x_rad", "gaze_y_rad")
_MEASURES = ("lip_gap", "lip_width", "eye_opening")
_FLOAT = pa.float32()

TRUTH_SCHEMA = pa.schema(
    [
        pa.field("frame", pa.int32(), nullable=False),
        pa.field("time_s", pa.float64(), nullable=False),
        pa.field("phoneme", pa.string(), nullable=False),
        *(pa.field(name, _FLOAT, nullable=False) for name in (*_POSE, *ACTION_UNITS, *_EYES, *_MEASURES)),
        pa.field("landmarks_px", pa.list_(_FLOAT, 478 * 3), nullable=False),
        pa.field("mouth_vertices_mm", pa.list_(_FLOAT, len(MOUTH) * 3), nullable=False),
        pa.field("expression", pa.list_(_FLOAT, len(CONTROLS)), nullable=False),
    ]
)

_CONVENTIONS = {
    "landmarks_px": "478 points of MediaPipe's face mesh with irises, x, y, z of each in turn; pixels of the "
    "picture, origin at its top left corner, pixel centres at halves; z away from the camera, 0 at the head",
    "pose": "OpenFace's camera frame: x right, y down, z away; R = Rx Ry Rz; radians and millimetres",
    "action_units": "OpenFace's intensities, 0 to 5",
    "lids": "0 open, 1 shut; left and right are the person's own",
    "gaze": "radians to the picture's right and downwards, relative to the head",
    "measures": "inner lips, mouth corners and mean lid distance over the distance between the eyes' centres",
    "mouth_vertices_mm": f"x, y, z in the head's frame of the landmarks {MOUTH.tolist()}",
    "expression": f"0 to 1 of {list(CONTROLS)}",
    "phoneme": "IPA; _ is silence; a frame is the instant time_s",
}
_ROWS_AT_ONCE = 250


class TruthWriter:
    """A context manager that writes rows as they come; what has failed leaves no whole file."""

    def __init__(self, path: Path, rate: float, facts: Mapping[str, Any]) -> None:
        notes = {"conventions": _CONVENTIONS, **facts}
        metadata = {f"memdub.{k}": v if isinstance(v, str) else json.dumps(v) for k, v in notes.items()}
        self._schema = TRUTH_SCHEMA.with_metadata(metadata)
        self._path, self._rate = path, rate
        self._columns: dict[str, list[Any]] = {name: [] for name in TRUTH_SCHEMA.names}
        self.rows = 0

    def __enter__(self) -> Self:
        self._writer = pq.ParquetWriter(self._path, self._schema, compression="zstd")
        return self

    def write(self, truth: FrameTruth, expression: np.ndarray, phoneme: str) -> None:
        """The next frame."""
        numbers = [*truth.pose, *truth.action_units, *truth.lids, *truth.gaze]
        numbers += [truth.lip_gap, truth.lip_width, truth.eye_opening]
        lists = [np.ravel(values) for values in (truth.landmarks, truth.mouth, expression)]
        self._append([self.rows, self.rows / self._rate, phoneme, *numbers, *lists])
        self.rows += 1
        if self.rows % _ROWS_AT_ONCE == 0:
            self._flush()

    def _append(self, row: Sequence[Any]) -> None:
        for column, value in zip(self._columns.values(), row, strict=True):
            column.append(value)

    def _flush(self) -> None:
        arrays = [_array(self._columns[field.name], field.type) for field in self._schema]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        for column in self._columns.values():
            column.clear()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._columns["frame"]:
            self._flush()
        self._writer.close()


def _array(values: Iterable[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_fixed_size_list(kind):
        flat = np.concatenate([np.asarray(v, np.float32) for v in values])
        return pa.FixedSizeListArray.from_arrays(pa.array(flat, _FLOAT), kind.list_size)
    return pa.array(list(values), kind)
