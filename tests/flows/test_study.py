"""`memdub study`: a page that gives nothing away, in a browser where there is one; and its answers scored."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from storage.artifacts import Made, produce
from storage.home import Home
from storage.ledger import Ledger
from storage.recipes import RawSource, Recipe
from tests.flows.conftest import Shell
from tests.helpers.browser import CHROMIUM
from tests.helpers.footage import film, keep_consent

METHODS = ("dinet", "memface", "nearest")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    keep_consent(tmp_path / "home", scope='["ingest", "train", "dub"]')
    monkeypatch.setenv("MEMDUB_HOME", str(tmp_path / "home"))
    return Home(tmp_path / "home")


def made(home: Home, recipe: Recipe, files: dict[str, bytes]) -> str:
    def make(workspace: Path) -> Made:
        for name, content in files.items():
            (workspace / name).write_bytes(content)
        return Made()

    return produce(home, recipe, make, identity="anna").id


def dub(home: Home, method: str, speech: str, *, preset: str = "cpu", content: bytes | None = None) -> str:
    """Not a film, where nobody looks at it."""
    told, raw = {"method": method, "preset": preset}, (RawSource("speech", speech * 64, f"{speech}.wav"),)
    recipe = Recipe("dub", "dub", 2, told, {"template": "clip-x"}, raw)
    return made(home, recipe, {"dub.mp4": content or f"film of {method} {preset} {speech}".encode()})


def evaluation(home: Home, speech: str = "a") -> str:
    dubs = {method: dub(home, method, speech) for method in METHODS}
    clip = made(home, Recipe("clip", "ingest", 2, {}), {"clip.mp4": b"the true film"})
    parameters = {"methods": list(METHODS), "takes": [[40, 50, "held_out"]]}
    recipe = Recipe("evaluation", "evaluate", 5, parameters, {"truth": clip, **dubs})
    films = {name: f"1-{name}.mp4" for name in (*METHODS, "truth")}
    shown = {name: {"dub": one, "film": films[name]} for name, one in dubs.items()}
    take = {"clip": clip, "frames": [40, 50], "methods": shown, "truth": {"film": films["truth"]}}
    judged = {film: f"judged seconds of {name}".encode() for name, film in films.items()}
    return made(home, recipe, {"evaluation.json": json.dumps({"takes": [take]}).encode(), **judged})


def study(memdub: Shell, root: Path, *words: object) -> tuple[Path, dict[str, Any]]:
    assert memdub("study", "make", *words, "-o", root / "study", "--json") == 0, memdub.err
    told = json.loads(memdub.out)["studies"][0]
    return Path(told["page"]), told


def data(page: Path) -> dict[str, Any]:
    found = re.search(r'id="study">(.*?)</script>', page.read_text(), re.S)
    assert found is not None
    return json.loads(found[1])


def test_the_page_gives_nothing_away(memdub: Shell, home: Home, tmp_path: Path) -> None:
    page, told = study(memdub, tmp_path, evaluation(home), "--truth")
    assert (told["systems"], told["items"], told["pairs"]) == ([*METHODS, "truth"], 1, 6)
    text = page.read_text()
    known = json.loads((tmp_path / "study" / "key.json").read_text())
    for word in (*METHODS, "truth", *(one["of"] for one in known["films"].values())):
        assert word not in text.lower()
    assert not re.search(r"https?://", text), "the page asks the network"
    handed_on = {path.name for path in page.parent.rglob("*") if path.is_file()}
    assert handed_on == {"index.html", *(f"{token}.mp4" for token in known["films"])}
    for token, one in known["films"].items():
        content = (page.parent / "films" / f"{token}.mp4").read_bytes()
        assert content == f"judged seconds of {one['system']}".encode(), "what was learned from is shown"
    (row,) = Ledger(home.objects).rows("runs").to_pylist()
    assert (row["flow"], row["status"], len(row["made"])) == ("study", "done", 4)


def test_names_order_and_key_follow_from_the_seed(memdub: Shell, home: Home, tmp_path: Path) -> None:
    names = [dub(home, method, "a") for method in METHODS]
    first, again, other = (
        data(study(memdub, tmp_path / which, *names, "--seed", seed)[0])
        for which, seed in (("1", 3), ("2", 3), ("3", 4))
    )
    assert first == again
    assert first["id"] != other["id"]
    assert {token for pair in first["trials"] for token in pair}.isdisjoint(
        token for pair in other["trials"] for token in pair
    )


def answered(root: Path, rater: str, better: dict[str, int], study_id: str | None = None) -> Path:
    """What the page would save for somebody who always prefers the higher."""
    known = json.loads((root / "study" / "key.json").read_text())
    page = data(root / "study" / "page" / "index.html")
    answers = []
    for left, right in page["trials"]:
        one, two = (better[known["films"][token]["system"]] for token in (left, right))
        chosen = "left" if one > two else "right" if two > one else "neither"
        answers.append({"left": left, "right": right, "chosen": chosen, "seconds": 2.0})
    file = root / f"answers-{rater}.json"
    file.write_text(json.dumps({"study": study_id or page["id"], "rater": rater, "answers": answers}))
    return file


def test_answers_are_scored_by_the_key(memdub: Shell, home: Home, tmp_path: Path) -> None:
    names = [dub(home, method, speech) for speech in "ab" for method in METHODS]
    study(memdub, tmp_path, *names)
    files = [
        answered(tmp_path, "one", {"memface": 3, "dinet": 2, "nearest": 1}),
        answered(tmp_path, "two", {"memface": 2, "dinet": 2, "nearest": 1}),
        answered(tmp_path, "three", {"memface": 1, "dinet": 2, "nearest": 3}),
    ]
    assert memdub("study", "score", tmp_path / "study", *files, "--json") == 0, memdub.err
    told = json.loads(memdub.out)
    assert (told["answers"], told["raters"], told["items"]) == (18, 3, 2)
    # Of two items each: the first prefers in this order, the second ties the first two, the third turns it.
    systems = {one["system"]: (one["wins"], one["losses"], one["ties"]) for one in told["systems"]}
    assert systems == {"memface": (6, 4, 2), "dinet": (6, 4, 2), "nearest": (4, 8, 0)}
    assert [one["system"] for one in told["systems"]][-1] == "nearest"
    assert sum(one["strength"] for one in told["systems"]) == pytest.approx(0, abs=1e-9)
    assert memdub("study", "score", tmp_path / "study", *files, files[0], "--json") == 0
    assert json.loads(memdub.out) == told, "who saves twice counts once"
    assert memdub("study", "score", tmp_path / "study", *files) == 0
    assert "memface" in memdub.out
    assert "18 answers of 3 raters to 2 items" in memdub.err


def test_presets_are_told_where_they_differ(memdub: Shell, home: Home, tmp_path: Path) -> None:
    names = [dub(home, "memface", "a", preset=preset) for preset in ("cpu", "gpu")]
    assert study(memdub, tmp_path, *names)[1]["systems"] == ["memface:cpu", "memface:gpu"]


def test_what_cannot_be_compared_is_refused(memdub: Shell, home: Home, tmp_path: Path) -> None:
    one, other = dub(home, "memface", "a"), dub(home, "nearest", "b")
    clip = made(home, Recipe("clip", "ingest", 2, {}), {"clip.mp4": b"x"})
    for words, line in (
        ((one, other), "nothing to compare it with"),
        ((clip,), "neither a dub nor an evaluation"),
        (("dub-none",), "no artifact has this id"),
    ):
        assert memdub("study", "make", *words, "-o", tmp_path / "study") == 2
        assert line in memdub.err
        assert memdub.err.count("\n") == 1
        assert not (tmp_path / "study").exists()
    pair = (one, dub(home, "nearest", "a"))
    keep_consent(tmp_path / "home", scope='["ingest"]')
    assert memdub("study", "make", *pair, "-o", tmp_path / "study") == 2
    assert "not dub" in memdub.err
    (tmp_path / "there").mkdir()
    assert memdub("study", "make", *pair, "-o", tmp_path / "there") == 2
    assert "is there already" in memdub.err


def test_wrong_files_of_answers_are_named(memdub: Shell, home: Home, tmp_path: Path) -> None:
    study(memdub, tmp_path, *(dub(home, method, "a") for method in METHODS))
    better = dict.fromkeys(METHODS, 1)
    other = answered(tmp_path, "other", better, study_id="another")
    torn = answered(tmp_path, "torn", better)
    torn.write_text(torn.read_text().replace("neither", "both"))
    words = tmp_path / "words.json"
    words.write_text("[1]")
    for file, line in (
        (other, "of another study"),
        (torn, "cannot be read"),
        (words, "not what it should be"),
    ):
        assert memdub("study", "score", tmp_path / "study", file) == 2
        assert line in memdub.err
        assert file.name in memdub.err


# Answers as a person would, goes away after two, comes back; then says what the page says.
RATER = """
const key = name => document.dispatchEvent(new KeyboardEvent("keydown", {key: name, bubbles: true}));
const begin = name => { document.getElementById("rater").value = name;
  document.getElementById("begin").requestSubmit(); };
const told = JSON.parse(document.getElementById("study").textContent), out = {errors: []};
window.addEventListener("error", event => out.errors.push(String(event.message)));
const films = () => ["left", "right"].map(id => document.getElementById(id).src.slice(-20, -4));
begin("ann"); out.first = films(); key("1"); key("2");
out.at = document.getElementById("progress").textContent;
out.orders = ["ann", "bob", "cat", "dan"].map(name => ordered(told.trials, told.id + "|" + name));
out.again = ordered(told.trials, told.id + "|ann");
document.getElementById("begin").hidden = false;
const fresh = run(told); out.suggested = document.getElementById("rater").value; fresh.begin("ann");
out.back = document.getElementById("progress").textContent;
for (let i = 0; i < 9; i++) fresh.press("0");
out.results = fresh.results();
out.over = !document.getElementById("end").hidden;
out.wide = document.documentElement.scrollWidth <= window.innerWidth;
const said = document.createElement("pre"); said.id = "said"; said.textContent = JSON.stringify(out);
document.body.append(said);
"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: install one to answer in it")
def test_in_a_browser(memdub: Shell, home: Home, tmp_path: Path) -> None:
    """From disk, at a phone's width."""
    content = film(tmp_path / "one.mp4", seconds=1).read_bytes()
    page, _ = study(
        memdub, tmp_path, *(dub(home, m, s, content=content + m.encode()) for m in METHODS for s in "ab")
    )
    script = f"<script>{RATER}</script></main>"
    (page.parent / "tried.html").write_text(page.read_text().replace("</main>", script))
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=500,900", "--dump-dom"]
    told = [
        f"--user-data-dir={tmp_path / 'browser'}",
        "--virtual-time-budget=3000",
        f"file://{page.parent}/tried.html",
    ]
    assert CHROMIUM is not None
    done = subprocess.run([CHROMIUM, *words, *told], capture_output=True, text=True, timeout=250, check=False)
    found = re.search(r'<pre id="said">(.*?)</pre>', done.stdout, re.S)
    assert found is not None, done.stderr[-2000:]
    out = json.loads(found[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))
    trials = data(page)["trials"]
    assert out["errors"] == []
    assert out["first"] == out["again"][0] == out["orders"][0][0]
    assert [out["at"], out["back"], out["suggested"]] == ["3 of 6", "3 of 6", "ann"]
    for order in out["orders"]:
        assert sorted(map(sorted, order)) == sorted(map(sorted, trials)), "a pair is lost or asked twice"
    assert len({json.dumps(order) for order in out["orders"]}) == 4, "all raters see the same order"
    turned = [pair for order in out["orders"] for pair in order if pair not in trials]
    assert 4 <= len(turned) <= 20, "sides are not shuffled"
    answers = out["results"]["answers"]
    assert [one["chosen"] for one in answers] == ["left", "right", *["neither"] * 4]
    assert [[one["left"], one["right"]] for one in answers] == out["again"]
    assert out["over"]
    assert out["wide"], "a phone must scroll sideways"
    file = tmp_path / "answers.json"
    file.write_text(json.dumps(out["results"]))
    assert memdub("study", "score", tmp_path / "study", file) == 0, memdub.err
