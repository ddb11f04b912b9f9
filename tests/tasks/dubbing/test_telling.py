"""What speaks against a dub."""

from __future__ import annotations

import pytest

from tasks.dubbing.telling import unrest_of


@pytest.mark.parametrize(("levels", "told"), [(0.0, False), (3.0, False), (30.0, True)])
def test_walls_that_move_are_told(levels: float, told: bool) -> None:
    """Compressed footage from a tripod is off by two or three levels."""
    lines = unrest_of(levels)
    assert bool(lines) == told
    assert all("--pose template" in line for line in lines)
