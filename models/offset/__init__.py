"""Sound and picture in step: lips that are heard held against lips that are seen.

    heard = read_lips(log_probabilities)          # 50 a second, from the embedded acoustic network
    offset = estimate(heard, lip_motion(landmarks), fps, shots, PLACING)

Called by `tasks.offset`. `offset.frames` > 0: the sound is late.
"""

from models.offset.lips import PLACING, lip_motion, read_lips, reading_windows
from models.offset.measure import CONFIDENT, FURTHEST, Offset, estimate

__all__ = [
    "CONFIDENT",
    "FURTHEST",
    "PLACING",
    "Offset",
    "estimate",
    "lip_motion",
    "read_lips",
    "reading_windows",
]
