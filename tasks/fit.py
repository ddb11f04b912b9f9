"""The `fit` stage: coefficients of a morphable model for every frame of a tracked face.

`plan` meets the person of each shot in a bounded number of good and varied frames; `compute` then gives
every frame its expression, pose and light, with neighbours on both sides of a block looked at so that its
borders do not show. Who only hands the stage on need not import PyTorch: that is done where it works.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from storage import clips
from storage.clips import ArraySpec, ClipGroup, standard

if TYPE_CHECKING:
    from models.morphable.model import MorphableModel
    from tasks._fitting import FitPlan

__all__ = ["COLUMNS", "FitStage"]

COLUMNS = {"identity": 80, "expression": 64, "texture": 80, "rotation": 3, "light": 27, "translation": 3}


@dataclass(frozen=True)
class FitStage:
    """Fits a track. `size` is the clip's width and height, `focal` its lens in pixels if that is known."""

    track: str
    model: str = "builtin"
    model_path: Path | None = None
    size: tuple[int, int] = (0, 0)
    focal: float | None = None

    def specs(self) -> Sequence[ArraySpec]:
        """The arrays it makes."""
        group = self._group()
        frames = group.array("track/landmarks").shape[0]
        rate = Fraction(group.attrs.get("fps", 25)).limit_denominator(1001)
        names = [f"fit/{name}" for name in (*COLUMNS, "error", "camera")]
        return standard(names, frames=frames, fps=rate)

    def plan(self) -> FitPlan:
        """Its camera, and the person of every shot that shows one."""
        from tasks._fitting import plan_of

        return plan_of(self._group(), self._model(), self.size, self.focal)

    def compute(self, plan: FitPlan, start: int, stop: int) -> Mapping[str, NDArray[Any]]:
        """Rows of one block."""
        from tasks._fitting import rows_of

        return rows_of(self._group(), self._model(), plan, start, stop)

    def _group(self) -> ClipGroup:
        return clips.open_clip(self.track)

    def _model(self) -> MorphableModel:
        from tasks.morphable import morphable_model

        return morphable_model(self.model, self.model_path)
