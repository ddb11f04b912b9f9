"""Kills at moments that nobody chose; `python -m tests.bench.refresh_kills` does fifty and more."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from tests.bench.refresh_kills import ended, fresh, killed_at, undisturbed_seconds
from tests.flows.test_refresh_faults import outcome


def test_a_refresh_killed_at_random_ends_as_the_undisturbed_one(
    changed: Path, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    chance, home = random.Random(0), tmp_path / "home"
    usual = undisturbed_seconds(changed, home, times=1)
    fresh(changed, home)
    moments = sorted(chance.uniform(0.1, 0.9) for _ in range(5))
    assert sum(killed_at(home, usual * moment) for moment in moments)
    ended(home)
    assert outcome(home) == undisturbed
