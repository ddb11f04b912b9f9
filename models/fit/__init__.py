"""Fitting morphable models to landmarks and pictures, in torch; it knows no file and no clip."""

from __future__ import annotations
