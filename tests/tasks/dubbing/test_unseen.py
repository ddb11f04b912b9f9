"""What is told of a mouth once frames are hidden, and that a dub's recipe says which."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.methods import find_method
from storage.errors import MediaError
from storage.home import Home
from storage.ledger import Ledger
from tasks.audio_backends import find_backend
from tasks.dubbing.casting import Cast
from tasks.dubbing.stage import DubOptions, Job, recipe_of
from tasks.dubbing.template import named
from tasks.dubbing.unseen import told_mouths
from tasks.material import Material, open_materials
from tasks.remember import features_of
from tests.helpers.material_home import FRAMES, two_clips


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Anna with two clips."""
    return two_clips(tmp_path)


@pytest.fixture
def both(home: Home) -> list[Material]:
    return open_materials(home, [one.features for one in features_of(home, Ledger(home.objects), "anna")])


def test_hidden_frames_show_nobody_and_the_template_comes_first(both: list[Material]) -> None:
    told = told_mouths(both, both[1], (100, FRAMES))
    assert [one.clip.id for one in told] == [both[1].clip.id, both[0].clip.id]
    assert told[0].seen[:100].all()
    assert not told[0].seen[100:].any()
    assert told[1].seen.all()
    assert both[1].seen.all(), "the clip itself was changed"
    assert all(one.seen.all() for one in told_mouths(both, both[1], None))


def test_a_template_that_is_hidden_whole_tells_nothing(both: list[Material]) -> None:
    assert [one.clip.id for one in told_mouths(both, both[0], (0, FRAMES))] == [both[1].clip.id]
    with pytest.raises(MediaError, match="no frame is left"):
        told_mouths(both[:1], both[0], (0, FRAMES))


@pytest.mark.parametrize(("name", "role"), [("nearest", "hidden"), ("dinet", "without")])
def test_the_recipe_says_what_was_hidden(home: Home, both: list[Material], name: str, role: str) -> None:
    def parameters(without: tuple[int, int] | None) -> dict[str, object]:
        method, clip = find_method(name), both[0].clip.id
        cast = Cast(method, method.config("smoke"), both, None, {})
        options = DubOptions(name, "smoke", clip, without=without)
        backend = find_backend("embedded", home.url)
        job = Job(home, "anna", Path("a.wav"), "0", cast, named(both, clip), backend, np.pi / 4, options)
        return dict(recipe_of(job).parameters)

    assert parameters((120, FRAMES))[role] == [120, FRAMES]
    assert parameters((120, FRAMES)) != parameters((100, FRAMES))
    assert not {"hidden", "without"} & {k for k, v in parameters(None).items() if v is not None}
