"""A talking puppet: a parametric head of our own whose truth is known in every frame.

Tests, training data and the demonstration use it. `Puppet(seed)` is a person; an expression row
(`CONTROLS`) and a pose make a picture and its truth.
"""

from __future__ import annotations

from models.puppet.camera import about_neck
from models.puppet.expression import CONTROLS, INDEX
from models.puppet.puppet import Puppet
from models.puppet.truth import ACTION_UNITS, MOUTH, FrameTruth

__all__ = ["ACTION_UNITS", "CONTROLS", "INDEX", "MOUTH", "FrameTruth", "Puppet", "about_neck"]
