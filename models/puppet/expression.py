"""The puppet's expression space: the controls that animate every identity in the same way.

A row of expression is a float32 vector in the order of `CONTROLS`; zero is a relaxed face with closed
lips and open eyes. Motion writes such rows, the head reads them, the truth is derived from them.
"""

from __future__ import annotations

__all__ = ["CONTROLS", "INDEX"]

CONTROLS: tuple[str, ...] = (
    # Mouth: 0 to 1 each.
    "jaw_open",
    "lips_close",  # seals the lips whatever the jaw does (p, b, m)
    "lips_press",  # rolls sealed lips inwards
    "lips_round",  # small round protruded opening (u, o, w)
    "lips_funnel",  # protruded and flared (sh, zh, ch)
    "lips_wide",  # corners drawn apart (i, e)
    "lower_tuck",  # lower lip under the upper teeth (f, v)
    "upper_raise",
    "lower_drop",  # lips part without the jaw (s, t, z)
    "tongue_up",  # tip behind the upper teeth (l, t, d, n)
    "tongue_out",  # tip between the teeth (th)
    "smile_left",
    "smile_right",
    "frown",
    "dimple",
    "chin_raise",
    # Upper face: 0 to 1 each.
    "brow_inner_raise",
    "brow_outer_raise",
    "brow_lower",
    "cheek_raise",
    "nose_wrinkle",
    "lid_left",  # 1 is shut; left and right are the puppet's own
    "lid_right",
    "lid_wide",
    "lid_tighten",
    # Eyes: -1 to 1 each, 1 is 30 degrees; x grows to the picture's right, y downwards.
    "gaze_x",
    "gaze_y",
)

INDEX: dict[str, int] = {name: i for i, name in enumerate(CONTROLS)}
