"""OpenFace's conventions that several rooms of storage share."""

from __future__ import annotations

__all__ = ["ACTION_UNITS", "PRESENCE_UNITS"]

# The seventeen whose intensity OpenFace gives, in its order.
ACTION_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)

# Those whose presence it gives: AU28 besides.
PRESENCE_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 28, 45)
