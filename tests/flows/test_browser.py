"""The Prefect UI in a real browser, after a real run: what a person would see of it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.browser import CHROMIUM
from tests.helpers.serving import Serving

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: install one to see the UI in it"),
    pytest.mark.timeout(900),
]


def rendered(folder: Path, url: str) -> str:
    """The page as it stands once its scripts have run."""
    assert CHROMIUM is not None
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,1400", "--dump-dom"]
    told = [f"--user-data-dir={folder / 'browser'}", "--virtual-time-budget=20000", url]
    done = subprocess.run([CHROMIUM, *words, *told], capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(params=["", "v2/"], ids=["v1", "v2"])
def ui(request: pytest.FixtureRequest) -> str:
    """Prefect ships two; either must do."""
    return str(request.param)


def test_the_page_of_a_run(served: Serving, dubbed_run: dict[str, Any], tmp_path: Path, ui: str) -> None:
    page = rendered(tmp_path, f"{served.url}/{ui}runs/flow-run/{dubbed_run['id']}")
    assert "dub anna &lt;- good morning.wav" in page
    assert "Completed" in page
    assert "memface is not trained on anna yet: training it first" in page, "no logs"
    assert "Can't connect" not in page


def test_the_page_of_a_dub(served: Serving, dubbed_run: dict[str, Any], tmp_path: Path, ui: str) -> None:
    asked = {"artifacts": {"flow_run_id": {"any_": [dubbed_run["id"]]}, "key": {"any_": ["dub-anna"]}}}
    (artifact,) = served.ask("artifacts/filter", asked)
    page = rendered(tmp_path, f"{served.url}/{ui}artifacts/artifact/{artifact['id']}")
    assert "anna says good morning.wav" in page
    assert page.count('src="data:image/') == 2, "no pictures"
    assert "memdub verify" in page
    assert f"{served.home}/out/anna-good_morning-" in page


def test_the_list_of_artifacts(served: Serving, dubbed_run: dict[str, Any], tmp_path: Path, ui: str) -> None:
    page = rendered(tmp_path, f"{served.url}/{ui}artifacts")
    for key in ("dub-anna", "film-anna", "progress-extracting-anna"):
        assert key in page


def test_the_run_form(served: Serving, tmp_path: Path) -> None:
    dub = served.ask("deployments/name/dub/anna")
    page = rendered(tmp_path, f"{served.url}/deployments/deployment/{dub['id']}/run")
    assert "Any sound or video file; without one, the newest in raw/IDENTITY/speech." in page
    assert "The talking-face system." in page
    assert "memface" in page
