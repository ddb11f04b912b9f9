"""Which picture a clip is shown by."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from flows.portraits import at_their_best
from storage.ledger import TABLES, Commit, Ledger
from storage.objects import open_objects
from tests.helpers.invented_ledger import Size, artifact, invent, name_of

CLIP = name_of("clip", "person00 0")
FRAMES = 40
WIDE_AWAKE = {"au45": 0.0, "rotation_x_rad": 0.0, "rotation_y_rad": 0.0, "confidence": 0.9}


def tracked_again(ledger: Ledger, frames: list[dict[str, float]]) -> None:
    track = artifact("track", "again", "person00", {"clip": CLIP}, minute=99)
    named = {"clip": CLIP, "artifact": track.artifact["id"], "identity": "person00"}
    rows = [{**named, "frame": at, **WIDE_AWAKE, **told} for at, told in enumerate(frames)]
    table = pa.Table.from_pylist(rows, schema=TABLES["frames"].schema)
    ledger.commit(Commit(track.artifact, track.lineage, frames=table))


@pytest.mark.parametrize(
    "worse",
    [{"au45": 3.0}, {"rotation_y_rad": 0.6}, {"rotation_x_rad": -0.6}, {"confidence": 0.2}],
    ids=lambda one: next(iter(one)),
)
def test_nobody_is_shown_blinking_or_turned_away(tmp_path: Path, worse: dict[str, float]) -> None:
    ledger = Ledger(open_objects(str(tmp_path)))
    invent(ledger, Size(people=1, clips=1, frames=FRAMES, dubs=0))
    tracked_again(ledger, [{} if at == 7 else worse for at in range(FRAMES)])
    assert at_their_best(ledger, "person00") == {CLIP: 7}


def test_of_frames_that_are_alike_the_middle_one_is_shown(tmp_path: Path) -> None:
    ledger = Ledger(open_objects(str(tmp_path)))
    invent(ledger, Size(people=1, clips=1, frames=FRAMES, dubs=0))
    tracked_again(ledger, [{} for _ in range(FRAMES)])
    assert at_their_best(ledger, "person00") == {CLIP: FRAMES // 2}
    assert at_their_best(ledger, "nobody") == {}
