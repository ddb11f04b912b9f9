"""Which pictures of a person a method is shown: never those that are judged, and always the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.canvas.framing import TALL
from storage.errors import MediaError
from storage.home import Home
from storage.ledger import Ledger
from tasks.dubbing import shown
from tasks.dubbing.shown import Showing, references
from tasks.material import Material, open_materials
from tasks.remember import features_of
from tests.helpers.material_home import FRAMES, material_home


@pytest.fixture
def one(tmp_path: Path) -> Material:
    home = material_home(tmp_path / "home")
    found = features_of(home, Ledger(home.objects), "anna")
    return open_materials(home, [source.features for source in found])[0]


@pytest.fixture
def picked(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    """The frames that each call read."""
    read: list[set[int]] = []
    real = shown.VideoReader

    class Noting(real):  # type: ignore[misc, valid-type]
        def read(self, start: int, stop: int):  # type: ignore[no-untyped-def]
            read[-1].add(start)
            return super().read(start, stop)

    monkeypatch.setattr(shown, "VideoReader", Noting)
    return read


def test_five_canvases_and_none_of_what_is_judged(
    tmp_path: Path, one: Material, picked: list[set[int]]
) -> None:
    home = Home(tmp_path / "home")
    picked.append(set())
    free = references(home, [one], one, Showing(5, 104, TALL))
    assert free.shape == (5, 104, 104, 3)
    assert free.dtype == torch.uint8
    assert len(picked[-1]) == 5
    judged = (min(picked[-1]), FRAMES)
    picked.append(set())
    again = references(home, [one], one, Showing(5, 104, TALL, (0, FRAMES - 40)))
    assert min(picked[-1]) >= FRAMES - 40
    assert not torch.equal(again, free)
    picked.append(set())
    if judged[0] > 0:
        references(home, [one], one, Showing(5, 104, TALL, judged))
        assert max(picked[-1]) < judged[0]
    assert torch.equal(references(home, [one], one, Showing(5, 104, TALL)), free)


def test_nobody_is_shown_where_all_is_judged(tmp_path: Path, one: Material) -> None:
    with pytest.raises(MediaError, match="no frame is left"):
        references(Home(tmp_path / "home"), [one], one, Showing(5, 104, TALL, (0, FRAMES)))
