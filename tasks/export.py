"""Features in other people's files: OpenFace's CSV, and Deng et al.'s `.mat`. Called by `flows.export`.

Files are written beside their place and renamed when they are whole; nothing that exists is written over.

OpenFace. Columns, their names and their order are those of FeatureExtraction 2.2 (`full`, 714 columns), or of
the same with -2Dfp (`2d`, 141 columns: DINet reads x from column 5 and y from column 73). A frame without a
face has success 0 and zeros, as OpenFace writes it. What we do not measure is `nan`: the 56 eye landmarks,
and OpenFace's own shape parameters p_*. X_, Y_ and Z_ are the 68 points with the depth of the face mesh, on
the rays of the lens that OpenFace assumes, (width / 640 + height / 480) * 250 pixels, for which pose_T* is
told too: that lens sees them at x_ and y_. Where the clip's own lens is longer, they are brought nearer along
these rays, all of a frame alike and by a few percent, so that the head keeps its size.

Deng. `coeff` (T, 257) in the order identity 80, expression 64, texture 80, angles 3, light 27, translation 3,
and the same by name (id, exp, tex, angle, gamma, trans), `lm68` (T, 68, 2) in pixels of the crop, `valid`.
Their camera looks at a crop of 224 pixels from 10 units of 100 mm, focal length 1015, x right, y up, z to the
viewer, R = Rz Ry Rx; angles and translation are such that the face lies in the clip's crop, made 224 pixels
large, where it lies in ours. Coefficients belong to the morphable model that was fitted (`model`), which is
theirs only where that was BFM. A frame without a face repeats the one before, and has `valid` 0. To a folder,
every frame is a file of its own, from 1.mat on, as their program writes it and FACIAL reads it.
"""

from __future__ import annotations

import errno
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from storage.clips import ClipGroup
from storage.clips.check import check_complete
from storage.errors import NoSpace, RequestError
from tasks._deng import arranged
from tasks._openface import Layout, columns, lines

__all__ = ["Layout", "columns", "export_deng", "export_openface"]

_FIT = ("identity", "expression", "texture", "rotation", "light", "translation", "camera")
# Told of the finished bytes before they are visible: what cannot be remembered is not left there.
Seal = Callable[[Path], None]
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def export_openface(
    group: ClipGroup,
    dest: str | Path,
    *,
    size: tuple[int, int],
    layout: Layout = "full",
    spaced: bool = False,
    seal: Seal | None = None,
) -> Path:
    """The CSV of a clip's track. `size` is the clip's width and height.

    `spaced` puts a blank after each comma, as OpenFace up to 2.1 did: readers that ask pandas for
    " AU45_r", FACIAL among them, want that. `seal` is told of the file before it has its name.
    """
    check_complete(group)
    with _beside(Path(dest), seal) as part, part.open("w", encoding="ascii", newline="") as file:
        file.writelines(lines(group, size, layout, ", " if spaced else ","))
    return Path(dest)


def export_deng(group: ClipGroup, dest: str | Path, *, model: str = "", seal: Seal | None = None) -> Path:
    """A `.mat` of the whole clip; a folder with one for every frame, where `dest` has no such ending.

    `model` is the name of the morphable model that was fitted; `seal` is told of the file or folder before
    it has its name.
    """
    dest = Path(dest)
    if "fit/expression" not in group.names:
        raise RequestError("no morphable model was fitted here", where=group.url, do="name a clip's features")
    check_complete(group)
    with _beside(dest, seal) as part:
        arrays = _arrays(group, model)
        if dest.suffix == ".mat":
            _save(part, arrays)
        else:
            part.mkdir()
            for number in range(len(arrays["coeff"])):
                rows = {k: v[[number]] for k, v in arrays.items() if isinstance(v, np.ndarray)}
                _save(part / f"{number + 1}.mat", {**arrays, **rows})
    return dest


def _arrays(group: ClipGroup, model: str) -> dict[str, Any]:
    fit = {name: group.read(f"fit/{name}") for name in _FIT}
    made = arranged(fit, group.read("track/crop_placement"), group.read("track/landmarks_68"))
    return {**made, "fps": float(group.attrs["fps"]), "model": model}


def _save(path: Path, arrays: dict[str, Any]) -> None:
    # Heavy, and needed for nothing else.
    from scipy.io import savemat

    with path.open("wb") as file:
        savemat(file, arrays, do_compression=True)


@contextmanager
def _beside(dest: Path, seal: Seal | None) -> Iterator[Path]:
    """A place for the file or folder until it is whole; on any failure nothing is left."""
    part = dest.with_name(f".{uuid.uuid4().hex}.part") if dest.name else dest
    try:
        _check_free(dest)
        yield part
        if seal is not None:
            seal(part)
        part.rename(dest)
    except OSError as error:
        if error.errno in _FULL:
            raise NoSpace("no room left for this file", where=dest, do="free some space") from error
        what = f"cannot be written ({error.strerror or error})"
        raise RequestError(what, where=dest, do="name a place that you may write to") from error
    finally:
        if part != dest:
            _clear(part)


def _check_free(dest: Path) -> None:
    if dest.exists() or dest.is_symlink() or not dest.name:
        what = "is a folder" if dest.is_dir() else "is there already"
        raise RequestError(what, where=dest, do="name another file, or remove it first")
    if dest.parent.exists() and not dest.parent.is_dir():
        raise RequestError("is a file, not a folder", where=dest.parent, do="name another place")
    if not dest.parent.is_dir():
        raise RequestError("its folder does not exist", where=dest, do="make the folder first")


def _clear(part: Path) -> None:
    # A place that refuses to be written to may refuse this too, and was told of already.
    with suppress(OSError):
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)
