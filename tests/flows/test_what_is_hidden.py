"""What a method must not see of the frames that it is judged by changes nothing that it draws, to the bit.

The person, the memory and the checkpoints are the same; the clip that is dubbed over itself is once as it was
filmed, and once has noise in all that is drawn over, and for all that was tracked of the mouth there. What a
method may see does change what it draws, and so does what is hidden once nothing is to be hidden.

Not hidden, and not tested here: how the head is held, light, shape and texture, which are fitted to whole
frames, mouths and all; which step of a training is best, which the frames that it held back decide. Where
masks end softly, and where faces are turned aside, what was filmed is seen in the finished frame: that is
nobody's drawing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from models.methods import METHODS
from storage import clips
from storage.ledger import Ledger
from storage.media import split
from tasks.dubbing import casting
from tasks.remember import (
    Remembered,
    RememberOptions,
    _write,
    features_of,
    open_memory,
    read_memory,
    remember,
)
from tests.helpers.hidden import Under, censored, noisy, seen_as, under
from tests.helpers.material_home import SIZE
from tests.helpers.over_itself import REMEMBER, Made, Person, drawn, job_of, person

Change = Callable[[int, np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def anna(tmp_path_factory: pytest.TempPathFactory) -> Person:
    return person(tmp_path_factory.mktemp("hidden"))


def hiding(one: Person, where: Sequence[Under], colours: str) -> Change:
    """Noise in all that is drawn over; frames that are read whole, for references and walls, are noise."""
    first = one.hidden[0]

    def change(number: int, picture: np.ndarray) -> np.ndarray:
        if number < first:
            return picture
        if picture.ndim == 3:
            return _noise_from(first)(number, picture)
        own = where[number - first]
        return noisy(picture, own.light, getattr(own, colours), number)

    return change


def showing(one: Person, where: Sequence[Under]) -> Change:
    """Noise everywhere else."""
    first = one.hidden[0]

    def change(number: int, picture: np.ndarray) -> np.ndarray:
        if number < first or picture.ndim == 3:
            return picture
        own = where[number - first]
        return noisy(picture, ~own.light, ~own.colour, number)

    return change


def same(one: Made, other: Made, where: Sequence[Under]) -> None:
    """What was drawn, and the finished frames where nothing else is left of them."""
    assert torch.equal(one.drawn.places, other.drawn.places)
    assert torch.equal(one.drawn.alpha, other.drawn.alpha)
    assert torch.equal(patches(one), patches(other))
    for a, b, own in zip(one.frames, other.frames, where, strict=True):
        assert np.array_equal(split(a).y[own.whole], split(b).y[own.whole])


def patches(one: Made) -> torch.Tensor:
    """Where any of a patch is laid on."""
    return one.drawn.patches * (one.drawn.alpha > 0)[..., None]


@pytest.mark.parametrize("name", sorted(METHODS))
def test_what_is_hidden_changes_nothing(anna: Person, name: str) -> None:
    plain = drawn(anna, job_of(anna, name, anna.material, anna.hidden))
    where = under(plain.drawn, SIZE)
    assert min(own.whole.sum() for own in where) > 400
    assert min(own.deep.sum() for own in where) > 100
    blind = censored(anna.material, slice(*anna.hidden), seed=1)
    with seen_as(hiding(anna, where, "deep")):
        same(plain, drawn(anna, job_of(anna, name, blind, anna.hidden)), where)
    # What it may see does change it, and so does what it must not, where nobody says that it must not.
    with seen_as(showing(anna, where)):
        other = drawn(anna, job_of(anna, name, anna.material, anna.hidden))
    assert not torch.equal(patches(plain), patches(other))
    told, untold = (job_of(anna, name, one, None) for one in (anna.material, blind))
    assert not torch.equal(patches(drawn(anna, told)), patches(drawn(anna, untold)))


@pytest.mark.parametrize("name", sorted(REMEMBER))
def test_mouths_that_are_remembered_of_what_is_hidden_are_not_drawn_with(
    anna: Person, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A memory is of whole clips."""
    sources = features_of(anna.home, Ledger(anna.home.objects), "anna")
    memory = remember(anna.home, "anna", sources, RememberOptions(slots=40, side=64))
    kept, anna = open_memory(anna.home, memory), dataclasses.replace(anna, memory=memory)
    own = kept.frame >= anna.hidden[0]
    assert own.any()
    # Whatever is asked for, what is hidden is nearest.
    near = kept._replace(keys=np.where(own[:, None, None], kept.keys, kept.keys + 50))
    noise = near._replace(patches=_noise_in(kept.patches, own), turn=_noise_in(kept.turn, own))

    def seen(memory: Remembered, without: tuple[int, int] | None) -> Made:
        monkeypatch.setattr(casting, "open_memory", lambda home, found: memory)
        return drawn(anna, job_of(anna, name, anna.material, without))

    hidden = seen(near, anna.hidden)
    same(hidden, seen(noise, anna.hidden), under(hidden.drawn, SIZE))
    assert not torch.equal(patches(seen(near, None)), patches(seen(noise, None)))


def _noise_in(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    made = values.copy()
    made[where] = np.random.default_rng(0).permuted(made[where], axis=None)
    return made


@pytest.mark.parametrize("name", sorted(METHODS))
def test_colours_at_the_edge_of_what_is_hidden_change_nothing(anna: Person, name: str) -> None:
    job = job_of(anna, name, anna.material, anna.hidden)
    plain = drawn(anna, job)
    where = under(plain.drawn, SIZE)
    with seen_as(hiding(anna, where, "colour")):
        same(plain, drawn(anna, job), where)


def test_a_memory_of_the_first_part_knows_nothing_of_the_rest(
    anna: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a memory is made for benchmarks."""
    plain, first = open_memory(anna.home, anna.memory), anna.hidden[0]
    sources = features_of(anna.home, Ledger(anna.home.objects), "anna")
    blind = censored(anna.material, slice(*anna.hidden), seed=1)

    def made(name: str, share: float) -> Remembered:
        options = RememberOptions(slots=20, side=64, share=share)
        with monkeypatch.context() as patch, seen_as(_noise_from(first)):
            patch.setattr(clips, "open_clip", lambda url: blind.group)
            _write(anna.home, "anna", sources, options, tmp_path / name)
        return read_memory(clips.open_clip(str(tmp_path / name)))

    part, whole = made("part.zarr", first / len(anna.material.seen)), made("whole.zarr", 1.0)
    for name in ("keys", "patches", "points", "turn", "frame"):
        assert np.array_equal(getattr(part, name), getattr(plain, name)), name
    assert whole.frame.max() >= first, "nothing of the rest would have been remembered anyway"


def _noise_from(first: int) -> Change:
    def change(number: int, picture: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(number)
        return picture if number < first else rng.integers(0, 256, picture.shape, np.uint8)

    return change
