"""What a weights file is, by its content: a suffix proves nothing.

A pickle runs whatever its author wrote when it is loaded. So it is told here from the bytes, bare or inside a
zip (as `torch.save` writes it), before anything could load it.
"""

from __future__ import annotations

import io
import json
import pickletools
import tarfile
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO

import numpy as np

from storage.errors import WeightsError

__all__ = ["check_format", "refuse_pickle", "sniff"]

_HEADER_LIMIT = 100 * 2**20
_ENOUGH = 2**20


def sniff(path: str | Path) -> str:
    """`safetensors`, `tflite`, `task` (a zip with TensorFlow Lite models), `pickle`, or `unknown`."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(16)
            if _is_safetensors(file, head, path.stat().st_size):
                return "safetensors"
            if head[4:8] == b"TFL3":
                return "tflite"
            if zipfile.is_zipfile(path):
                return _sniff_zip(path)
            file.seek(0)
            return "pickle" if _holds_pickle(file) or _is_torch_tar(path) else "unknown"
    except (OSError, zipfile.BadZipFile) as error:
        raise WeightsError(f"cannot be read: {error}", where=path) from error


def refuse_pickle(path: str | Path) -> None:
    """Raise WeightsError if there is a pickle in the file."""
    if sniff(path) == "pickle":
        raise WeightsError(
            "holds a pickle, which can run any code when it is loaded",
            where=path,
            do="convert it to safetensors on a machine that may be harmed, and give that",
        )


def check_format(path: str | Path, allowed: Collection[str] = ("safetensors", "tflite")) -> str:
    """The format of a file, which must be one of `allowed`."""
    refuse_pickle(path)
    found = sniff(path)
    if found not in allowed:
        wanted = " or ".join(allowed)
        told = "of no known weights format" if found == "unknown" else f"a {found} file"
        raise WeightsError(f"this is {told}, not {wanted}", where=path, do=f"give a {wanted} file")
    return found


def _is_safetensors(file: IO[bytes], head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    if head[8:9] != b"{" or not 2 <= length <= min(size - 8, _HEADER_LIMIT):
        return False
    file.seek(8)
    try:
        return isinstance(json.loads(file.read(length)), dict)
    except ValueError:
        return False


def _sniff_zip(path: Path) -> str:
    models = 0
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith((".pkl", ".pickle")):
                return "pickle"
            with archive.open(entry) as member:
                head = member.read(_ENOUGH)
            if _holds_pickle(io.BytesIO(head), cut=len(head) < entry.file_size):
                return "pickle"
            models += head[4:8] == b"TFL3"
    return "task" if models else "unknown"


def _holds_pickle(file: IO[bytes], *, cut: bool = False) -> bool:
    """Is this a pickle, or a numpy file with objects in it?"""
    head = file.read(8)
    file.seek(0)
    if head[:6] == b"\x93NUMPY":
        return _is_object_array(file)
    operations = 0
    try:
        for operation, _, _ in pickletools.genops(file):
            operations += 1
            # One stop sign alone is any file that begins with a full stop.
            if operation.name == "STOP":
                return operations > 1
    except Exception as error:
        # Not a pickle, or not all of one: a long one in a zip was read in part only.
        ran_out = cut and "unknown" not in str(error)
        return operations > 1 and (ran_out or (head[:1] == b"\x80" and 2 <= head[1] <= 5))
    return False


def _is_object_array(file: IO[bytes]) -> bool:
    try:
        np.lib.format.read_array(file, allow_pickle=False, max_header_size=_ENOUGH)
    except ValueError as error:
        return "allow_pickle" in str(error) or "Object arrays" in str(error)
    except Exception:
        return False
    return False


def _is_torch_tar(path: Path) -> bool:
    if not tarfile.is_tarfile(path):
        return False
    with tarfile.open(path) as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None and _holds_pickle(io.BytesIO(content.read(_ENOUGH)), cut=True):
                return True
    return False
