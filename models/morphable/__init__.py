"""Morphable models of faces behind one interface: the built-in one, ICT-FaceKit, and Deng's Basel layout.

`builtin()` needs no file; `ict` and `bfm` are built from arrays, which `tasks.morphable` reads.
"""

from __future__ import annotations

from models.morphable.builtin import builtin
from models.morphable.model import EXPRESSION, IDENTITY, TEXTURE, Correspondence, MorphableModel

__all__ = ["EXPRESSION", "IDENTITY", "TEXTURE", "Correspondence", "MorphableModel", "builtin"]
