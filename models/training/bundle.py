"""A bundle: all that one stage of training needs, in one safetensors file that is read where it lies.

Rows of all clips stand one after the other in every array; segments say where clips, shots and missing
faces part them, and which part is held out (the last of every clip, never frames in between). Written by
`tasks.bundles`, read by methods and by `models.train`, on machines that have nothing but this file.

An array `start/NETWORK/PARAMETER` is a weight that training starts from.
"""

from __future__ import annotations

import contextlib
import json
import math
import mmap
import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.training.plan import Plan

__all__ = [
    "HELD_OUT",
    "TRAIN",
    "About",
    "Bundle",
    "Segment",
    "filling_bundle",
    "start_arrays",
    "write_bundle",
]

TRAIN, HELD_OUT = "train", "held_out"
_HEADER = "memdub.bundle"
_START = "start/"
_SUM, _UNSEALED = "memdub.crc32", "00000000"
_SEAL = f'"{_SUM}": "'.encode()
_BLOCK = 1 << 24
_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
_NAMES = {np.dtype(kind): name for name, kind in _TYPES.items()}


class Segment(NamedTuple):
    """Rows [start, stop) of one clip without a gap; `first` is the row of the clip's own clock."""

    clip: str
    start: int
    stop: int
    rate: float
    split: str
    first: int = 0


@dataclass(frozen=True)
class About:
    """The header of a bundle: what it is for and what it was made of."""

    method: str
    stage: str
    preset: str
    config: Mapping[str, Any]
    seed: int = 0
    plan: Mapping[str, Any] = field(default_factory=dict)  # numbers of the method's plan to replace
    segments: Sequence[Segment] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)  # artifact ids by role
    recipe: Mapping[str, Any] = field(default_factory=dict)  # of the checkpoint to be made

    def as_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> About:
        told = json.loads(text)
        return cls(**{**told, "segments": tuple(Segment(*row) for row in told["segments"])})


class Bundle:
    """An open bundle; `arrays` are read-only views of the file."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        header, body, self._bytes = _open(self.path)
        about = header.pop("__metadata__", {}).get(_HEADER)
        if about is None:
            raise ValueError(f"{self.path}: no bundle: its header does not describe one")
        self.about = About.from_json(about)
        self.arrays: dict[str, NDArray[Any]] = {
            name: _view(self._bytes, body, told) for name, told in header.items()
        }

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.arrays[name]

    def __contains__(self, name: object) -> bool:
        return name in self.arrays

    def require(self, names: Sequence[str]) -> None:
        """ValueError unless all of these arrays are there."""
        missing = [name for name in names if name not in self.arrays]
        if missing:
            for_what = f"the bundle of stage {self.about.stage!r} of {self.about.method!r}"
            raise ValueError(f"{self.path}: {for_what} lacks {', '.join(missing)}; export it again")

    def segments(self, split: str) -> list[tuple[int, int]]:
        """Runs of rows that windows must not cross."""
        return [(s.start, s.stop) for s in self.about.segments if s.split == split]

    def rows(self, split: str) -> NDArray[np.int64]:
        """All rows of a split, in order."""
        runs = [np.arange(start, stop) for start, stop in self.segments(split)]
        return np.concatenate([np.zeros(0, np.int64), *runs]).astype(np.int64)

    def speakers(self) -> NDArray[np.int64]:
        """Whose each row is, by number; a person's own bundle is all of one."""
        rows = max((one.stop for one in self.about.segments), default=0)
        return np.asarray(self["speaker"] if "speaker" in self else np.zeros(rows), np.int64)

    def tensor(self, name: str, rows: Any = slice(None)) -> Tensor:
        """A copy of rows, as a tensor."""
        return torch.from_numpy(np.array(self.arrays[name][rows]))

    def plan(self, usual: Plan) -> Plan:
        """The usual plan with this bundle's seed and its changes."""
        return usual.changed({"seed": self.about.seed, **self.about.plan})

    def start(self) -> dict[str, Tensor] | None:
        """The weights that training starts from, if the bundle brings any."""
        found = {
            name.removeprefix(_START): self.tensor(name, ...)
            for name in self.arrays
            if name.startswith(_START)
        }
        return found or None

    @property
    def fingerprint(self) -> str:
        """Of the header and of samples of the content: another bundle has another."""
        size = len(self._bytes)
        count = struct.unpack("<Q", self._bytes[:8])[0]
        told = zlib.crc32(self._bytes[: 8 + count])
        for at in range(8 + count, size, max(4096, (size - 8 - count) // 256)):
            told = zlib.crc32(self._bytes[at : at + 4096], told)
        return f"{told:08x}-{size}"


def start_arrays(weights: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Weights by NETWORK/PARAMETER as arrays of a bundle whose training begins with them."""
    return {f"{_START}{name}": values for name, values in weights.items()}


def write_bundle(path: Path | str, about: About, arrays: Mapping[str, NDArray[Any]]) -> Path:
    """A bundle of arrays that are at hand; all or nothing."""
    shapes = {name: (values.shape, values.dtype) for name, values in arrays.items()}
    with filling_bundle(path, about, shapes) as views:
        for name, values in arrays.items():
            views[name][...] = values
    return Path(path)


@contextlib.contextmanager
def filling_bundle(
    path: Path | str, about: About, shapes: Mapping[str, tuple[Sequence[int], Any]]
) -> Iterator[dict[str, NDArray[Any]]]:
    """Arrays to be filled in place, of any size; the file appears when all is done."""
    target = Path(path)
    beside = target.with_name(f"{target.name}.{os.getpid()}.part")
    header, size = _header(about, shapes)
    try:
        with beside.open("w+b") as file:
            file.write(header)
            file.truncate(len(header) + size)
            file.flush()
            yield _writable(file.fileno(), len(header), shapes)
            file.flush()
            _seal(file, header)
            os.fsync(file.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def _layout(shapes: Mapping[str, tuple[Sequence[int], Any]]) -> Iterator[tuple[str, int, int]]:
    at = 0
    # Wide types first keeps every array aligned, as safetensors itself does it.
    for name in sorted(shapes, key=lambda name: (-np.dtype(shapes[name][1]).itemsize, name)):
        shape, dtype = shapes[name]
        size = math.prod(shape) * np.dtype(dtype).itemsize
        yield name, at, at + size
        at += size


def _header(about: About, shapes: Mapping[str, tuple[Sequence[int], Any]]) -> tuple[bytes, int]:
    told: dict[str, Any] = {"__metadata__": {_HEADER: about.as_json(), _SUM: _UNSEALED}}
    stop = 0
    for name, start, stop in _layout(shapes):
        shape, dtype = shapes[name]
        told[name] = {
            "dtype": _NAMES[np.dtype(dtype)],
            "shape": list(shape),
            "data_offsets": [start, stop],
        }
    text = json.dumps(told).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text, stop


def _seal(file: BinaryIO, header: bytes) -> None:
    """Writes the sum of all bytes into the header: bundles travel, and a flipped bit would be learned."""
    total = zlib.crc32(header)
    file.seek(len(header))
    while block := file.read(_BLOCK):
        total = zlib.crc32(block, total)
    file.seek(header.index(_SEAL) + len(_SEAL))
    file.write(f"{total:08x}".encode())
    file.flush()


def _is_sealed(header: bytes, body: memoryview, told: str) -> bool:
    total = zlib.crc32(header.replace(_SEAL + told.encode(), _SEAL + _UNSEALED.encode()))
    for at in range(0, len(body), _BLOCK):
        total = zlib.crc32(body[at : at + _BLOCK], total)
    return f"{total:08x}" == told


def _writable(
    file: int, begin: int, shapes: Mapping[str, tuple[Sequence[int], Any]]
) -> dict[str, NDArray[Any]]:
    whole = mmap.mmap(file, 0)
    return {
        name: np.frombuffer(
            whole, np.dtype(shapes[name][1]), math.prod(shapes[name][0]), begin + start
        ).reshape(shapes[name][0])
        for name, start, _ in _layout(shapes)
    }


def _open(path: Path) -> tuple[dict[str, Any], int, mmap.mmap]:
    """The header, where the body begins, and the file's bytes; ValueError unless it is whole."""
    try:
        with path.open("rb") as file:
            whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error
    count = struct.unpack("<Q", whole[:8])[0] if len(whole) >= 8 else 0
    try:
        header = json.loads(whole[8 : 8 + count])
        stop = max((told["data_offsets"][1] for name, told in header.items() if name[:2] != "__"), default=0)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a safetensors file") from error
    if 8 + count + stop != len(whole):
        what = f"holds {len(whole)} bytes where its header promises {8 + count + stop}"
        raise ValueError(f"{path}: {what}; it was cut short: copy or export it again")
    told = header.get("__metadata__", {}).get(_SUM)
    # Bundles of other hands have no sum.
    if told is not None and not _is_sealed(whole[: 8 + count], memoryview(whole)[8 + count :], told):
        raise ValueError(f"{path}: its content was changed; copy or export it again")
    return header, 8 + count, whole


def _view(whole: mmap.mmap, body: int, told: Mapping[str, Any]) -> NDArray[Any]:
    start, stop = told["data_offsets"]
    if told["dtype"] not in _TYPES:
        raise ValueError(f"a bundle holds no {told['dtype']}")
    kind = np.dtype(_TYPES[told["dtype"]])
    return np.frombuffer(whole, kind, (stop - start) // kind.itemsize, body + start).reshape(told["shape"])
