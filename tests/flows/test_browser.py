"""The Prefect UI in a real browser, after a real run: what a person would see of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.browser import CHROMIUM, browsing
from tests.helpers.serving import Serving

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: install one to see the UI in it"),
    pytest.mark.timeout(900),
]


# The page's words once all that is wanted stands there; as it is then, if it never does.
THERE = """new Promise(done => {
    const words = () => document.documentElement.outerHTML;
    const look = () => { if (%s.every(one => words().includes(one))) done(words()) };
    new MutationObserver(look).observe(document, {subtree: true, childList: true, characterData: true});
    setTimeout(() => done(words()), 300000);
    look();
})"""


def rendered(folder: Path, url: str, *wanted: str) -> str:
    """The page once its scripts have brought what is wanted; all of it is looked for again here."""
    with browsing(folder / "browser") as browser:
        browser.size(1400, 1400)
        browser.visit(url)
        page = str(browser.run(THERE % json.dumps(wanted)))
    for one in wanted:
        assert one in page
    return page


@pytest.fixture(params=["", "v2/"], ids=["v1", "v2"])
def ui(request: pytest.FixtureRequest) -> str:
    """Prefect ships two; either must do."""
    return str(request.param)


def test_the_page_of_a_run(served: Serving, dubbed_run: dict[str, Any], tmp_path: Path, ui: str) -> None:
    name, log = "dub anna &lt;- good morning.wav", "memface is not trained on anna yet: training it first"
    page = rendered(tmp_path, f"{served.url}/{ui}runs/flow-run/{dubbed_run['id']}", name, "Completed", log)
    assert "Can't connect" not in page


def test_the_page_of_a_dub(served: Serving, dubbed_run: dict[str, Any], tmp_path: Path, ui: str) -> None:
    asked = {"artifacts": {"flow_run_id": {"any_": [dubbed_run["id"]]}, "key": {"any_": ["dub-anna"]}}}
    (artifact,) = served.ask("artifacts/filter", asked)
    place = f"{served.home}/out/anna-good_morning-"
    wanted = ("anna says good morning.wav", 'src="data:image/', "memdub verify", place)
    page = rendered(tmp_path, f"{served.url}/{ui}artifacts/artifact/{artifact['id']}", *wanted)
    assert page.count('src="data:image/') == 2, "no pictures"


def test_the_list_of_artifacts(served: Serving, dubbed_run: dict[str, Any], tmp_path: Path, ui: str) -> None:
    rendered(tmp_path, f"{served.url}/{ui}artifacts", "dub-anna", "film-anna", "progress-extracting-anna")


def test_the_run_form(served: Serving, tmp_path: Path) -> None:
    dub = served.ask("deployments/name/dub/anna")
    rendered(
        tmp_path,
        f"{served.url}/deployments/deployment/{dub['id']}/run",
        "Any sound or video file; without one, the newest in raw/IDENTITY/speech.",
        "The talking-face system.",
        "memface",
    )
