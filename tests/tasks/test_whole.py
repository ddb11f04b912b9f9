"""A whole clip, far away: what the network breaks is tried again, and nothing else is."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from storage.errors import CorruptArtifact, MediaError, WorkError
from storage.home import Home
from tasks import whole
from tasks.team import Alone

ORDER: Any = SimpleNamespace(clip=SimpleNamespace(id="clip-1"))


def test_weights_that_came_later_are_seen(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker lives for days; what it gathered for the first clip is kept for the others."""
    there = ["old"]
    monkeypatch.setattr(whole.Ingredients, "gather", lambda home, options: there[0])
    monkeypatch.setattr(whole, "_home", lambda *_: home)
    monkeypatch.setattr(whole, "version", lambda _: "1")

    def chain(clip: str, ingredients: str) -> Any:
        return SimpleNamespace(features=SimpleNamespace(id=f"features-{ingredients}"))

    def reached(*_: object) -> None:
        raise MediaError("far enough")

    monkeypatch.setattr(whole.Chain, "of", chain)
    monkeypatch.setattr(whole, "video_of", reached)
    whole._gathered.cache_clear()
    told: dict[str, Any] = {"home": "", "settings": None, "posting": False, "options": None, "memdub": "1"}

    def asked(features: str) -> Any:
        order = SimpleNamespace(**told, features=features, clip=ORDER.clip, topics={}, run=None)
        return whole.extract_whole(order)  # type: ignore[arg-type]

    assert "far enough" in str(asked("features-old"))
    there[0] = "new"
    assert "far enough" in str(asked("features-new"))
    assert "other models" in str(asked("features-unheard-of"))
    whole._gathered.cache_clear()


def lost() -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def lost_while_reading() -> None:
    try:
        lost()
    except OSError as error:
        raise WorkError("rows 0 to 256 cannot be read now") from error


def rotten() -> None:
    try:
        raise ValueError("checksum")
    except ValueError as error:
        raise CorruptArtifact("rows 0 to 256 cannot be read") from error


def refused() -> None:
    try:
        lost()
    except OSError as error:
        raise MediaError("cannot be opened") from error


def in_a_stage(work: Callable[[], None]) -> None:
    Alone().do(work, name="faces-clip-1")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(whole.time, "sleep", slept.append)
    return slept


@pytest.mark.parametrize("where", [lambda work: work(), in_a_stage], ids=["between stages", "in a stage"])
@pytest.mark.parametrize("ailment", [lost, lost_while_reading])
def test_what_the_network_breaks_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
    pauses: list[float],
    where: Callable[[Callable[[], None]], None],
    ailment: Callable[[], None],
) -> None:
    done, fails = object(), iter([ailment, ailment])

    def extract(order: Any) -> object:
        if (work := next(fails, None)) is not None:
            where(work)
        return done

    monkeypatch.setattr(whole, "_extract", extract)
    assert whole.extract_whole(ORDER) is done
    assert pauses == list(whole.PAUSES[:2])


@pytest.mark.parametrize(
    ("ailment", "kind", "tries"),
    [(lost, WorkError, 4), (rotten, CorruptArtifact, 1), (refused, MediaError, 1)],
)
def test_what_fails_for_good_is_told(
    monkeypatch: pytest.MonkeyPatch, pauses: list[float], ailment: Callable[[], None], kind: type, tries: int
) -> None:
    monkeypatch.setattr(whole, "_extract", lambda order: in_a_stage(ailment))
    told = whole.extract_whole(ORDER)
    assert type(told) is kind
    assert len(pauses) == tries - 1
