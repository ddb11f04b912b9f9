"""How the built-in model is made, out of the puppet's figure and rig and of nobody's scans.

Only `python -m models.morphable.make` comes here; whoever fits a face reads the finished arrays.
"""

from __future__ import annotations
