"""What is true of a frame, known exactly because we made it: landmarks, pose, action units, gaze, lids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.puppet.expression import INDEX
from models.puppet.figure import EYES, LIP_RINGS

__all__ = ["ACTION_UNITS", "MOUTH", "FrameTruth", "action_units", "measures"]

F32 = NDArray[np.float32]

ACTION_UNITS: tuple[str, ...] = tuple(
    f"AU{n:02d}_r" for n in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
)

# The 80 lip landmarks, ring by ring from the outer one; corners shared by both lips appear once.
MOUTH: NDArray[np.int64] = np.array(list(dict.fromkeys(LIP_RINGS.ravel().tolist())))


@dataclass(frozen=True)
class FrameTruth:
    """Pixels are those of the rendered picture, origin at its top left corner."""

    landmarks: F32  # (478, 3) x, y and z in pixels; z grows away from the camera, 0 at the head's origin
    pose: F32  # (6,) radians and millimetres, OpenFace's frame
    action_units: F32  # (17,) 0 to 5, in the order of ACTION_UNITS
    lids: F32  # (2,) 0 open, 1 shut: the person's left, right
    gaze: F32  # (2,) radians to the picture's right and downwards, relative to the head
    mouth: F32  # (len(MOUTH), 3) millimetres in the head's own frame
    lip_gap: float  # inner lips, over the distance between the eyes' centres
    lip_width: float  # mouth corners, over the same
    eye_opening: float  # mean lid distance, over the same


def action_units(row: F32) -> F32:
    """Intensities 0 to 5 of OpenFace's 17 action units."""
    c = {name: float(row[i]) for name, i in INDEX.items()}
    smile = max(c["smile_left"], c["smile_right"])
    parted = max(
        1.6 * c["lower_drop"],
        1.6 * c["upper_raise"],
        0.8 * c["lips_round"],
        1.4 * c["lips_funnel"],
        0.9 * c["lower_tuck"],
        2.2 * c["jaw_open"],
    ) * (1 - max(c["lips_close"], c["lips_press"]))
    values = {
        "AU01_r": c["brow_inner_raise"],
        "AU02_r": c["brow_outer_raise"],
        "AU04_r": c["brow_lower"],
        "AU05_r": c["lid_wide"],
        "AU06_r": max(c["cheek_raise"], 0.4 * smile),
        "AU07_r": c["lid_tighten"],
        "AU09_r": c["nose_wrinkle"],
        "AU10_r": c["upper_raise"],
        "AU12_r": smile,
        "AU14_r": c["dimple"],
        "AU15_r": c["frown"],
        "AU17_r": c["chin_raise"],
        "AU20_r": c["lips_wide"],
        "AU23_r": c["lips_press"],
        "AU25_r": parted,
        "AU26_r": 1.4 * c["jaw_open"],
        "AU45_r": (c["lid_left"] + c["lid_right"]) / 2,
    }
    return (5 * np.clip([values[name] for name in ACTION_UNITS], 0, 1)).astype(np.float32)


def measures(landmarks: F32) -> tuple[float, float, float]:
    """Lip gap, lip width and eye opening over the distance between eye centres."""
    centres = [(landmarks[e.upper[0]] + landmarks[e.upper[-1]]) / 2 for e in EYES]
    scale = float(np.linalg.norm(centres[0] - centres[1])) + 1e-9
    gap = float(np.linalg.norm(landmarks[13] - landmarks[14])) / scale
    width = float(np.linalg.norm(landmarks[61] - landmarks[291])) / scale
    eye = (
        float(np.mean([np.linalg.norm(landmarks[e.upper[4]] - landmarks[e.lower[4]]) for e in EYES])) / scale
    )
    return gap, width, eye
