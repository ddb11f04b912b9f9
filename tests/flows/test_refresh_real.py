"""A refresh with nothing made up: footage of a talking head becomes a clip, features and a memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.planning import plan
from flows.refresh import refresh
from storage.artifacts import check_whole, find
from storage.home import Home
from storage.ledger import Ledger
from tasks import sources
from tasks.film import Script
from tasks.film import film as film_talker
from tests.flows.conftest import Shell
from tests.helpers.footage import film as film_nobody
from tests.helpers.footage import keep_consent
from tests.helpers.raw_home import clips_of, sources_of, table


def test_from_raw_footage_to_a_memory(root: Path, memdub: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sources.unsettled.__kwdefaults__, "apart", 0.0)
    home = root / "home"
    keep_consent(home, scope='["ingest", "train"]')
    raw = home / "raw" / "anna"
    raw.mkdir(parents=True)
    script = Script(seed=1, size=192, text="Peter Piper picked a peck.", supersample=1)
    film_talker(script, root / "talk.mp4").video.rename(raw / "talk.mp4")
    film_nobody(raw / "nobody.mp4", size=(160, 160))
    result = refresh(workers=0)
    person = result.people[0]
    assert (person.taken, person.extracted, person.remembered, person.quarantined) == (2, 1, 1, 1)
    assert sources_of(home) == {"talk.mp4": "done", "nobody.mp4": "quarantined"}
    assert [one.what for one in result.failed] == ["no face in any frame"]
    ledger = Ledger(Home(home).objects)
    for row in table(home, "artifacts"):
        found = find(ledger, row["id"], row["identity"])
        assert found is not None
        check_whole(Home(home), found, read_all=True)
    assert refresh(workers=0).is_idle
    assert clips_of(home) == ["nobody.mp4", "talk.mp4"]
    states = {(one.file, one.stage): one.state for one in plan().steps}
    assert states["nobody.mp4", "track"] == "failed"
    assert states["talk.mp4", "features"] == "done"
    assert memdub("status") == 0
    assert memdub("query", "select path, state, reason from sources order by path") == 0
    assert "no face in any frame" in memdub.out
