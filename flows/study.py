"""The flow `study`: dubs shown to people two at a time, without saying who made which; and what they prefer.

    DEST/page/     what raters are given: a page that opens from disk, and films under names that say nothing
    DEST/key.json  who is who: it stays here

An item is one template with one speech, dubbed by two systems or more; each pair of them is asked once. Of an
evaluation only the seconds are shown that it judges: the others were learned from. Films
keep their signed manifests, as they must: whoever takes one apart finds its recipe. Called by the command
line.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flows.study_page import study_page
from storage import consent
from storage.artifacts import Artifact, check_whole, find, stored_json
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger
from storage.ledger.query import resolve
from storage.recipes import hash_file
from storage.runs import run

if TYPE_CHECKING:
    from tasks.study import Answer, Scores

__all__ = ["QUESTION", "Made", "make", "score"]

QUESTION = "In which film do lips and speech go together better?"
TRUTH = "truth"
KEY, PAGE, FILMS = "key.json", "page", "films"
_WON = {"left": 1.0, "right": 0.0, "neither": 0.5}


class _Film(NamedTuple):
    """A film of an item: the dub or clip that it is, or is a part of, and where it lies."""

    item: str
    artifact: Artifact
    keeper: Artifact
    name: str


@dataclass(frozen=True)
class Shown:
    """A film, and whose it is."""

    film: _Film
    system: str
    token: str


@dataclass(frozen=True)
class Made:
    """A study as it was written."""

    id: str
    page: Path
    key: Path
    systems: tuple[str, ...]
    items: int
    pairs: int

    def as_dict(self) -> dict[str, Any]:
        told = {"id": self.id, "page": str(self.page), "key": str(self.key), "systems": self.systems}
        return {"studies": [{**told, "items": self.items, "pairs": self.pairs}]}


def make(
    names: Sequence[str],
    dest: str | Path,
    *,
    question: str = QUESTION,
    seed: int = 0,
    truth: bool = False,
    home: str | None = None,
) -> Made:
    """Write a study of these dubs and evaluations (ids, or how they begin) to `dest`."""
    place, target = Home(home), Path(dest)
    if target.exists():
        raise RequestError("is there already", where=target, do="name a folder that does not exist")
    ledger = Ledger(place.objects)
    shown = _shown(_films(place, ledger, names, truth), seed)
    for identity in sorted({str(one.film.artifact.identity) for one in shown}):
        consent.require(place, identity, "dub")
    arguments = {"of": list(names), "dest": str(target), "seed": seed, "truth": truth, "question": question}
    with run(ledger, "study", arguments=arguments) as this:
        made = _write(place, target, shown, question, seed)
        this.made += sorted(f"sha256:{hash_file(path)}" for path in (made.page.parent / FILMS).iterdir())
    return made


def _shown(found: Iterator[_Film], seed: int) -> list[Shown]:
    """All films, item by item; RequestError where there is nothing to compare."""
    films: dict[str, dict[str, _Film]] = {}
    for film in found:
        films.setdefault(film.item, {})[film.artifact.id] = film
    lone = [item for item, there in films.items() if len(there) < 2]
    if lone or not films:
        what = "nothing to compare it with" if films else "no dubs"
        do = "name two dubs or more of one template and speech, or an evaluation"
        raise RequestError(what, where=next(iter(films[lone[0]])) if lone else "study", do=do)
    every = [film for there in films.values() for film in there.values()]
    plain = len({_preset(one.artifact) for one in every} - {None}) < 2
    shown = [
        Shown(one, _system(one.artifact, plain), _token(seed, one.item, one.artifact.id)) for one in every
    ]
    for (item, system), count in _counts(shown).items():
        if count > 1:
            what = f"{count} dubs of one template and speech are by {system}"
            raise RequestError(what, where=item, do="name one of each system")
    return shown


def _counts(shown: Sequence[Shown]) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    for one in shown:
        counts[one.film.item, one.system] = counts.get((one.film.item, one.system), 0) + 1
    return counts


def _films(home: Home, ledger: Ledger, names: Sequence[str], truth: bool) -> Iterator[_Film]:
    """Each film with the item that it belongs to: its template and speech."""
    from tasks.dubbing.stage import FILM

    for name in names:
        one = _artifact(ledger, resolve(ledger, name))
        if one.kind == "dub":
            yield _Film(_item(one), one, one, FILM)
        elif one.kind == "evaluation":
            yield from _judged(home, ledger, one, truth)
        else:
            do = 'see: memdub query "select dub, method, template_name, speech_name from dubs"'
            raise RequestError("neither a dub nor an evaluation", where=one.id, do=do)


def _judged(home: Home, ledger: Ledger, one: Artifact, truth: bool) -> Iterator[_Film]:
    """What an evaluation judges, take by take, and its truth, where it has one."""
    from tasks.evaluating import TOLD

    check_whole(home, one)
    told = stored_json(home, f"{one.uri}/{TOLD}") or {}
    for take in told.get("takes", ()):  # none of an evaluation as they were told once
        dubs = [(_artifact(ledger, method["dub"]), method["film"]) for method in take["methods"].values()]
        item = " ".join([_item(dubs[0][0]), "-".join(map(str, take["frames"]))])
        for dub, film in dubs:
            yield _Film(item, dub, one, film)
        if truth and take["truth"]:
            yield _Film(item, _artifact(ledger, take["clip"]), one, take["truth"]["film"])


def _artifact(ledger: Ledger, name: str) -> Artifact:
    found = find(ledger, name)
    if found is None:
        raise RequestError("is no longer there", where=name, do="`memdub evaluate` again")
    return found


def _recipe(one: Artifact) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(one.row["recipe"])
    return told


def _item(dub: Artifact) -> str:
    told = _recipe(dub)
    speech = next((sha256 for role, sha256 in told["raw"] if role == "speech"), "")
    return f"{told['inputs'].get('template')} {speech[:20]}"


def _preset(one: Artifact) -> str | None:
    return None if one.kind == "clip" else str(_recipe(one)["parameters"]["preset"])


def _system(one: Artifact, plain: bool) -> str:
    """The method; with its preset, where dubs of several are shown."""
    if one.kind == "clip":
        return TRUTH
    method = str(_recipe(one)["parameters"]["method"])
    return method if plain else f"{method}:{_preset(one)}"


def _token(seed: int, item: str, artifact: str) -> str:
    return hashlib.sha256(f"{seed} {item} {artifact}".encode()).hexdigest()[:16]


def _write(home: Home, dest: Path, shown: Sequence[Shown], question: str, seed: int) -> Made:
    # Sorted by tokens, so that no order says anything.
    films = sorted(shown, key=lambda one: one.token)
    pairs = [(a.token, b.token) for a, b in itertools.combinations(films, 2) if a.film.item == b.film.item]
    named = hashlib.sha256(json.dumps([seed, question, pairs]).encode()).hexdigest()[:12]
    from tasks.extract import file_of

    (dest / PAGE / FILMS).mkdir(parents=True)
    for one in films:
        check_whole(home, one.film.keeper)
        with file_of(home, one.film.keeper, one.film.name) as path:
            shutil.copyfile(path, dest / PAGE / FILMS / f"{one.token}.mp4")
    told = {"id": named, "question": question, "films": f"{FILMS}/", "trials": pairs}
    (dest / PAGE / "index.html").write_text(study_page(told), encoding="utf-8")
    known = {
        one.token: {"item": one.film.item, "system": one.system, "of": one.film.artifact.id} for one in films
    }
    key = {"study": named, "question": question, "seed": seed, "films": known}
    (dest / KEY).write_text(json.dumps(key, indent=1))
    systems = tuple(sorted({one.system for one in shown}))
    items = len({one.film.item for one in shown})
    return Made(named, dest / PAGE / "index.html", dest / KEY, systems, items, len(pairs))


def score(study: str | Path, answers: Sequence[str | Path], *, draws: int = 2000, seed: int = 0) -> Scores:
    """What the raters' files say, by the key of the study's folder; of an answer given twice, the last."""
    from tasks.study import Study, scores

    key = _read(Path(study) / KEY, "its key; name the folder that `memdub study make` wrote")
    given: dict[tuple[str, frozenset[str]], Answer] = {}
    for path in map(Path, answers):
        told = _read(path, "answers; name files that raters have saved")
        if told.get("study") != key["study"]:
            raise RequestError("of another study", where=path, do=f"give answers to {key['study']}")
        for one in _answers(told, key["films"], path):
            given[one[0]] = one[1]
    if not given:
        raise RequestError("no answers", where=str(study), do="name files that raters have saved")
    systems = tuple(sorted({film["system"] for film in key["films"].values()}))
    return scores(Study(systems, tuple(given.values())), draws, seed)


def _answers(
    told: Mapping[str, Any], films: Mapping[str, Any], path: Path
) -> Iterator[tuple[tuple[str, frozenset[str]], Answer]]:
    from tasks.study import Answer

    rater = str(told.get("rater", ""))
    for one in told.get("answers", ()):
        try:
            left, right, won = films[one["left"]], films[one["right"]], _WON[one["chosen"]]
        except (KeyError, TypeError) as error:
            what = f"an answer that cannot be read ({error})"
            raise RequestError(what, where=path, do="ask for the file again") from error
        shown = frozenset((one["left"], one["right"]))
        yield (rater, shown), Answer(rater, left["item"], left["system"], right["system"], won)


def _read(path: Path, what: str) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RequestError("cannot be read", where=path, do=f"it should hold {what}") from error
    if not isinstance(told, dict):
        raise RequestError("is not what it should be", where=path, do=f"it should hold {what}")
    return told
