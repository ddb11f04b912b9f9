"""The canvas: the square of a frame in which a method draws a mouth, and the way back onto the frame.

A canvas follows the head in the picture plane (centre and roll, steadied without lag) and has one scale a
shot, so that nothing breathes or jumps. Called by methods, and by `tasks` that make bundles and memories.
Only the built-in morphable model is meant: its vertices say where the lower face is.
"""

from models.canvas.carry import carried
from models.canvas.mask import masks
from models.canvas.matched import matched
from models.canvas.mesh import mesh_pictures, mesh_points
from models.canvas.places import MOUTH_BOX, mouth_box, places
from models.canvas.sample import sample

__all__ = [
    "MOUTH_BOX",
    "carried",
    "masks",
    "matched",
    "mesh_pictures",
    "mesh_points",
    "mouth_box",
    "places",
    "sample",
]
