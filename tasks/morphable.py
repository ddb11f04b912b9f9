"""Morphable models by name: the built-in one, and others from files that users have.

Reading a file is this room's part; `models.morphable` knows only arrays. Called by fitting and rendering.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from models.morphable.builtin import builtin
from models.morphable.model import MorphableModel
from storage.errors import RequestError

__all__ = ["MODELS", "morphable_model"]


@lru_cache(maxsize=2)
def morphable_model(name: str = "builtin", path: Path | None = None) -> MorphableModel:
    """A model by name: `builtin`, or `ict` and `bfm` with their file."""
    if name not in MODELS:
        raise RequestError(f"no morphable model {name!r}", do=f"choose one of {', '.join(MODELS)}")
    if name == "builtin":
        return builtin()
    if path is None:
        raise RequestError(f"the model {name!r} needs its file", do=f"say {name}:PATH")
    if not Path(path).is_file():
        raise RequestError("no such file", where=path, do="give the morphable model's own file")
    try:
        return MODELS[name](path)
    except (ValueError, KeyError, OSError, TypeError, IndexError, NotImplementedError) as error:
        # Libraries' own words speak to programmers, and may give advice that is not ours.
        what = f"it lacks {error.args[0]!r}" if isinstance(error, KeyError) else type(error).__name__
        do = f"give {_FILES[name]}"
        raise RequestError(f"this is no {name} model ({what})", where=path, do=do) from error


_ICT_KEYS = ("neutral", "identity", "expression", "expression_names", "triangles", "vertex_indices")


def _builtin(path: Path) -> MorphableModel:
    return builtin()


def _ict(path: Path) -> MorphableModel:
    from models.morphable.ict import ict

    with np.load(path, allow_pickle=False) as stored:
        for key in _ICT_KEYS:
            if key not in stored:
                raise KeyError(key)
        indices = json.loads(str(stored["vertex_indices"]))
        return ict(
            stored["neutral"],
            stored["identity"],
            stored["expression"],
            [str(n) for n in stored["expression_names"]],
            stored["triangles"],
            np.array(indices["idx_to_landmark_verts"]),
        )


def _bfm(path: Path) -> MorphableModel:
    from scipy.io import loadmat

    from models.morphable.bfm import KEYS, bfm

    stored = loadmat(path, variable_names=KEYS)
    return bfm({key: stored[key] for key in KEYS})


MODELS: dict[str, Callable[[Path], MorphableModel]] = {"builtin": _builtin, "ict": _ict, "bfm": _bfm}
_FILES = {"ict": "ICT-FaceKit as an .npz of its arrays", "bfm": "Deng's BFM_model_front.mat"}
