"""The puppet itself: a seed becomes a person who can be rendered, and whose every frame is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.puppet.atlas import build_atlas
from models.puppet.body import Body
from models.puppet.camera import FOCAL, project, rest_pose, rotation
from models.puppet.expression import CONTROLS, INDEX
from models.puppet.identity import traits
from models.puppet.light import studio
from models.puppet.paint import linear
from models.puppet.shading import Painter
from models.puppet.skin_texture import SKIN_TONES
from models.puppet.stage import Stage
from models.puppet.truth import MOUTH, FrameTruth, action_units, measures

__all__ = ["Puppet"]

F32 = NDArray[np.float32]


class Puppet:
    """One person, with light and background. Same arguments, same pictures, bit for bit."""

    def __init__(
        self,
        seed: int,
        size: int = 256,
        *,
        supersample: int = 2,
        light: int | None = None,
        background: int | None = None,
    ) -> None:
        if not 64 <= size <= 1024 or supersample < 1:
            raise ValueError(
                f"puppet size {size} x{supersample}: size must be 64 to 1024 and supersample at least 1"
            )
        self.seed, self.size, self.supersample = seed, size, supersample
        self.who = traits(seed)
        self.description: dict[str, object] = self.who.readable()
        self.rest_pose: F32 = rest_pose()
        room_light = studio(seed if light is None else light)
        gain = self._exposure()
        lamps = room_light.exposed(gain)
        side = 1024 if size * supersample > 700 else 512
        key = lamps.directions[0]
        self._body = Body(self.who, seed, side)
        atlas = build_atlas(self.who, seed, side, (float(key[0]), float(key[1])), gain)
        room = seed if background is None else background
        stage = Stage(
            self.who, seed, room_light.exposed(gain**0.4), self._body.shell(), size * supersample, room
        )
        self._painter = Painter(self._body, atlas, lamps, stage, self.rest_pose, size, supersample)

    def _exposure(self) -> float:
        """Cameras open up for dark skin and close down for pale skin."""
        return float(np.clip((0.36 / float(linear(SKIN_TONES[self.who.skin]).mean())) ** 0.42, 0.85, 1.7))

    @property
    def focal(self) -> float:
        """Focal length in pixels; the principal point is the picture's middle."""
        return FOCAL * self.size

    def render(self, expression: F32, pose: F32) -> NDArray[np.uint8]:
        """The picture (size, size, 3), RGB."""
        return self._painter(_checked(expression), np.asarray(pose, np.float64))

    def truth(self, expression: F32, pose: F32) -> FrameTruth:
        """What `render` shows for the same arguments."""
        row = _checked(expression)
        head = self._body.landmarks(row)
        turn = rotation(np.asarray(pose[:3], np.float64))
        seen = head @ turn.T + np.asarray(pose[3:], np.float64)
        pixels, _ = project(seen.astype(np.float32), self.size)
        scale = FOCAL * self.size / float(pose[5])
        z = (seen[:, 2] - float(pose[5])) * scale
        gap, width, eye = measures(head)
        return FrameTruth(
            landmarks=np.column_stack([pixels, z]).astype(np.float32),
            pose=np.asarray(pose, np.float32).copy(),
            action_units=action_units(row),
            lids=row[[INDEX["lid_left"], INDEX["lid_right"]]].copy(),
            gaze=(row[[INDEX["gaze_x"], INDEX["gaze_y"]]] * np.float32(np.radians(30))).astype(np.float32),
            mouth=head[MOUTH].astype(np.float32),
            lip_gap=gap,
            lip_width=width,
            eye_opening=eye,
        )


def _checked(expression: F32) -> F32:
    row = np.asarray(expression, np.float32)
    if row.shape != (len(CONTROLS),):
        raise ValueError(
            f"puppet expression has shape {row.shape}: give one value for each of {len(CONTROLS)} controls"
        )
    return row
