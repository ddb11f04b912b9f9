"""The demonstration: a puppet speaks, and everything from its footage to a signed dub is made and shown.

Called by the command line. What it says in the dub is nowhere in the footage; the puppet is filmed saying
it as well, so that the dub can be held against the truth. Further methods are trained on the same footage,
and all are evaluated on the seconds of it that none was trained on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.engine import call
from flows.ingest import Watch, no_progress
from flows.puppet import Filmed, puppet
from storage.artifacts import Artifact
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger, lineage_of
from storage.ledger.query import Node
from tasks.film import Script
from tasks.puppet import film_puppet, footage_of

if TYPE_CHECKING:
    from flows.dub import Dubbed
    from flows.evaluate import Evaluated
    from flows.train import Outcome

__all__ = ["PRESETS", "Demonstration", "demo"]

IDENTITY = "maria"
SCRIPT = Script(
    seed=0,
    text=(
        "Good morning, and welcome to the old boat house by the river. "
        "My brother Paul bought five blue buckets, a brush, and far too much white paint. "
        "Maybe you wonder who I am. I do not exist, and that is why you may watch my every word. "
        "We used to keep small wooden boats here, and we gave each of them the name of a bird. "
        "The heron was the fastest. The robin leaked, whatever we put over the holes. "
        "In summer people came from the village with bread, cheese and very loud music. "
        "Nobody would pay for a boat when it rained, so we sat down and played cards for hours. "
        "One evening a huge storm broke the pier, and most of the fleet was gone by midnight. "
        "Would you have begun all over again? We thought about it for a whole year."
    ),
)
# To see that everything works, a fifth of it will do.
BRIEF = replace(SCRIPT, text=" ".join(SCRIPT.text.split(". ")[:2]) + ".")
SENTENCE = replace(
    SCRIPT,
    text="Thank you for visiting. Before you leave, have a look at the map beside the door: "
    "every path you see there goes back to the water.",
)
METHOD = "memface"
PRESETS = ("smoke", "cpu", "gpu")
# Steps of the longest training of a method, by preset: enough for one puppet in one light.
_BRIEF = {
    METHOD: ("renderer", {"cpu": 500, "gpu": 4000}),
    "facial": ("picture", {"cpu": 300}),
}


@dataclass(frozen=True)
class Demonstration:
    """What the demonstration made, and what anybody who watches the dub sees of its lips."""

    filmed: Filmed
    truth: Path
    memory: Artifact
    trained: list[Outcome]
    dubbed: Dubbed
    seen: dict[str, float]
    tree: Node
    page: Path
    compared: Evaluated | None = None  # where there are other methods

    def as_dict(self) -> dict[str, Any]:
        checkpoints = [{**one.checkpoint.as_dict(), "stage": one.stage} for one in self.trained]
        return {
            **self.filmed.as_dict(),
            "memories": [self.memory.as_dict()],
            "checkpoints": checkpoints,
            **self.dubbed.as_dict(),
            "seen": self.seen,
            "lineage": self.tree.as_dict(),
            "page": str(self.page),
            **({} if self.compared is None else self.compared.as_dict()),
        }


def demo(
    *,
    home: str | None = None,
    preset: str = "cpu",
    methods: Sequence[str] = (),
    watch: Watch = no_progress,
    tell: Callable[[str], None] = lambda line: None,
) -> Demonstration:
    """Film, ingest, extract, remember, train, dub, compare, and write a page about it.

    `methods` are shown side by side, beside what is told of the one that dubs.
    """
    from tasks.training import require_methods

    if methods:
        require_methods(methods, "--methods")
    if preset not in PRESETS:
        raise RequestError(f"no preset {preset!r}", where="--preset", do=f"use one of {', '.join(PRESETS)}")
    place = Home(home)
    script = BRIEF if preset == "smoke" else SCRIPT
    filmed = puppet(IDENTITY, script, home=home, watch=watch, tell=tell)
    truth = _film_truth(place, watch)
    memory = _prepared(home, watch, tell)
    trained = _trained(home, METHOD, preset, watch, tell)
    dubbed = _dubbed(home, truth, filmed, preset, watch, tell)
    tree = lineage_of(Ledger(place.objects), dubbed.dub.id)
    from flows.demo_page import Shown, compared, write_page

    with watch("watching the dub beside the truth", 1, 1):
        beside = compared(dubbed.path, truth)
    done = _compared(place, methods, preset, watch, tell) if methods else None
    path = place.path("out/demo/index.html")
    others = None if done is None else done.write_page(place, path.with_name("methods"))
    shown = Shown(filmed, truth, memory, trained, dubbed, tree, beside, others)
    page = write_page(place, shown, path)
    return Demonstration(filmed, truth, memory, trained, dubbed, beside.figures, tree, page, done)


def _film_truth(home: Home, watch: Watch) -> Path:
    """The puppet saying the sentence itself: filmed, never ingested, so nothing is learned from it."""
    workers = max(1, min(2, os.cpu_count() or 1))
    with watch("filming the truth, to compare", 1, 1) as progress:
        named = {"name": "film the truth", "workers": workers, "progress": progress}
        return footage_of(home, call(film_puppet, home, IDENTITY, SENTENCE, **named))


def _prepared(home: str | None, watch: Watch, tell: Callable[[str], None]) -> Artifact:
    from flows.extract import extract
    from flows.remember import remember

    extract([IDENTITY], home=home, watch=watch, tell=tell).raise_if_refused()
    with watch("remembering mouths", 1, 1):
        return remember(IDENTITY, home=home).memory


def _trained(
    home: str | None, method: str, preset: str, watch: Watch, tell: Callable[[str], None]
) -> list[Outcome]:
    """All stages of a method that a dub needs, one of them more briefly than usual."""
    from flows.train import train
    from tasks.training import TrainOptions, method_of

    made, config = method_of(TrainOptions(method, preset))
    long, steps = _BRIEF.get(method, ("", {}))
    outcomes: list[Outcome] = []
    for stage in made.stages(config):
        if stage.personal and not stage.optional:
            plan = {"steps": steps[preset]} if stage.name == long and preset in steps else {}
            options = TrainOptions(method, preset, stage=stage.name, plan=plan)
            outcomes += train(IDENTITY, options, home=home, watch=watch, tell=tell).outcomes
    return outcomes


def _compared(
    home: Home, methods: Sequence[str], preset: str, watch: Watch, tell: Callable[[str], None]
) -> Evaluated:
    from flows.evaluate import evaluate

    for method in methods:
        _trained(home.url, method, preset, watch, tell)
    return evaluate(IDENTITY, methods=methods, preset=preset, home=home.url, watch=watch, tell=tell)


def _dubbed(
    home: str | None,
    truth: Path,
    filmed: Filmed,
    preset: str,
    watch: Watch,
    tell: Callable[[str], None],
) -> Dubbed:
    from flows.dub import dub
    from tasks.dubbing.stage import DubOptions

    place = Home(home).path("out/demo/dub.mp4")
    place.parent.mkdir(parents=True, exist_ok=True)
    options = DubOptions(METHOD, preset, template=filmed.clip.id)
    return dub(IDENTITY, truth, place, options=options, home=home, watch=watch, tell=tell)
