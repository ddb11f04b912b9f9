"""The flow `train`: a person's features in, one checkpoint a stage of the method out.

What is missing before it is run: extraction of clips that have no features, the memory where a stage wants
one. Called by the command line, by dubbing, and by Prefect. A training that was killed goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.again import extract_missing
from flows.engine import call, card_slots, in_prefect
from flows.ingest import Watch, no_progress
from storage import consent
from storage.artifacts import Artifact, find_whole
from storage.errors import RequestError
from storage.home import Home, check_slug
from storage.ledger import Ledger
from storage.recipes import hash_file
from storage.runs import Run, run

if TYPE_CHECKING:
    from tasks.training import Halted, Ingredients, TrainedStage, TrainOptions

__all__ = ["Exported", "Outcome", "Planned", "Trained", "export_bundles", "plan", "train"]


@dataclass(frozen=True)
class Outcome:
    """A stage's checkpoint and how it went."""

    stage: str
    checkpoint: Artifact
    metrics: dict[str, float]

    def line(self) -> str:
        """One line for people."""
        told = ", ".join(f"{name} {value:.4g}" for name, value in self.metrics.items())
        how = "already there" if self.checkpoint.reused else "trained"
        return f"{self.checkpoint.id}  {self.stage}: {how}; held out: {told or 'nothing'}"


@dataclass
class Trained:
    """What came of it; `halted` is the stage that was told to pause."""

    outcomes: list[Outcome] = field(default_factory=list)
    halted: Halted | None = None

    @property
    def checkpoints(self) -> dict[str, Artifact]:
        """By stage."""
        return {one.stage: one.checkpoint for one in self.outcomes}

    def as_dict(self) -> dict[str, Any]:
        made = [
            {**one.checkpoint.as_dict(), "stage": one.stage, "metrics": one.metrics} for one in self.outcomes
        ]
        paused = None if self.halted is None else self.halted.__dict__
        return {"checkpoints": made, "paused": paused}


@dataclass(frozen=True)
class Planned:
    """A stage and what is there of it."""

    stage: str
    recipe: str
    done: bool


@dataclass(frozen=True)
class Exported:
    """Bundles, by stage."""

    files: dict[str, Path]

    def as_dict(self) -> dict[str, Any]:
        return {"bundles": [{"stage": stage, "uri": str(path)} for stage, path in self.files.items()]}


def train(
    identity: str,
    options: TrainOptions,
    *,
    device: str = "auto",
    processes: int = 1,
    limit_minutes: float | None = None,
    where: str | None = None,
    home: str | None = None,
    watch: Watch = no_progress,
    tell: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Train what is not trained yet; stages in their order.

    `where` names a Prefect work pool that is to do it: it is waited for, and what it made is taken.
    """
    # Heavy, and not needed to refuse a request.
    from tasks.cards import needed
    from tasks.training import Halted, check_device, method_of, train_stage

    place = _allowed(home, identity)
    method_of(options)
    if where is None:
        check_device(device, processes)
    else:
        from flows.pools import check

        check(where, place)
    limit = None if limit_minutes is None else 60 * limit_minutes
    how: dict[str, Any] = {"device": device, "processes": processes, "limit_seconds": limit}
    ledger = Ledger(place.objects)
    asking = {"where": where, "device": device, "processes": processes}
    asked = {"identity": identity, "options": _told(options), **asking}
    result = Trained()
    with run(ledger, "train", identity=identity, arguments=asked) as this:
        of, stages = _gathered(place, identity, options, watch, tell)
        if where is not None:
            from flows.pools import train_in_pool

            # Else what the pool's own deployment says would be overruled by what nobody said.
            usual = {"device": "auto", "processes": 1}
            own = {name: asking[name] for name, value in usual.items() if asking[name] != value}
            train_in_pool(where, place, options, identity, stages, own, tell)
        for number, one in enumerate(stages, 1):
            name = one.stage.name
            done = find_whole(place, ledger, one.recipe, identity) is not None
            slots = 0 if done else needed(device, processes)
            with card_slots(slots), watch(f"training {name}", number, len(stages)) as bar:
                told: dict[str, Any] = {"progress": _Teller(name, bar, tell), "tell": tell}
                made = call(train_stage, place, one, of, **how, **told, name=f"train {identity} {name}")
            if isinstance(made, Halted):
                result.halted, this.status = made, "partly"
                break
            result.outcomes.append(Outcome(name, made, _metrics(place, made)))
    return result


def export_bundles(
    identity: str,
    options: TrainOptions,
    file: Path,
    *,
    home: str | None = None,
    watch: Watch = no_progress,
    tell: Callable[[str], None] = lambda line: None,
) -> Exported:
    """What another machine needs to train; one file a stage, named after it where there are several."""
    from tasks.training import export_stage, method_of

    place = _allowed(home, identity)
    method_of(options)
    _check_free(file)
    asked = {"identity": identity, "options": _told(options), "export": str(file.absolute())}
    files: dict[str, Path] = {}
    with run(Ledger(place.objects), "train", identity=identity, arguments=asked) as this:
        of, stages = _gathered(place, identity, options, watch, tell)
        for number, one in enumerate(stages, 1):
            name = one.stage.name
            path = file if len(stages) == 1 else file.with_name(f"{file.stem}.{name}{file.suffix}")
            _check_free(path)
            with watch(f"exporting {name}", number, len(stages)) as progress:
                call(export_stage, place, one, of, path, progress, name=f"export {identity} {name}")
            _remember(place, this, identity, of, path)
            files[name] = path
    return Exported(files)


def plan(identity: str, options: TrainOptions, *, home: str | None = None) -> list[Planned]:
    """What would run; computes nothing. A stage whose ingredients are missing has no recipe yet."""
    from tasks.ears import heard_alike, wanted_ear
    from tasks.remember import RememberOptions, features_of, recipe_of
    from tasks.training import Ingredients, method_of, planned_stages, wants_memory

    place = _allowed(home, identity)
    ledger = Ledger(place.objects)
    method, config = method_of(options)
    personal = [stage for stage in method.stages(config) if stage.personal]
    missing = _unextracted(place, identity)
    before = [Planned("extract", "", not missing)]
    if missing:
        return [*before, *(Planned(stage.name, "", False) for stage in personal)]
    sources = features_of(place, ledger, identity)
    fitting = heard_alike(ledger, identity, sources, wanted_ear(place, personal))
    features = [one.features for one in fitting]
    memory = recipe_of(sources, RememberOptions())
    kept = find_whole(place, ledger, memory, identity)
    if any(wants_memory(stage) for stage in personal):
        before.append(Planned("remember", memory.id, kept is not None))
    of = Ingredients(identity, features, kept)
    stages = planned_stages(place, options, of)
    found = [(one, find_whole(place, ledger, one.recipe, identity)) for one in stages]
    return [*before, *(Planned(one.stage.name, one.recipe.id, done is not None) for one, done in found)]


def _allowed(home: str | None, identity: str) -> Home:
    place = Home(home)
    consent.require(place, check_slug(identity), "train")
    return place


def _check_free(file: Path) -> None:
    where = f"--export-bundle {file}"
    if not file.absolute().parent.is_dir():
        raise RequestError("its folder does not exist", where=where, do="name a file in a folder that exists")
    if file.exists():
        what = "is a folder" if file.is_dir() else "is there already"
        raise RequestError(what, where=where, do="name another file, or remove it first")


def _told(options: TrainOptions) -> dict[str, Any]:
    return {**options.__dict__, "cut": options.cut.__dict__, "plan": dict(options.plan)}


def _gathered(
    home: Home, identity: str, options: TrainOptions, watch: Watch, tell: Callable[[str], None]
) -> tuple[Ingredients, Sequence[TrainedStage]]:
    """The ingredients, made where they are missing, and the stages that are made of them."""
    from tasks.ears import heard_alike, wanted_ear
    from tasks.remember import features_of
    from tasks.training import Ingredients, method_of, planned_stages, wants_memory

    if missing := _unextracted(home, identity):
        extract_missing(home, identity, missing, watch, tell)
    ledger = Ledger(home.objects)
    method, config = method_of(options)
    ear = wanted_ear(home, [stage for stage in method.stages(config) if stage.personal])
    sources = heard_alike(ledger, identity, features_of(home, ledger, identity), ear)
    of = Ingredients(identity, [one.features for one in sources])
    _forewarn(home, of, method.name, tell)
    stages = planned_stages(home, options, of)
    if any(wants_memory(one.stage) for one in stages):
        from flows.remember import remember

        with watch("remembering", 1, 1) as progress:
            of = Ingredients(identity, of.features, remember(identity, home=home.url).memory)
            if progress is not None:
                progress(1, 1)
        stages = planned_stages(home, options, of)
    return of, stages


def _forewarn(home: Home, of: Ingredients, method: str, tell: Callable[[str], None]) -> None:
    """What the method would want more of: said before the minutes that a training takes, and not after."""
    from tasks.material import open_materials

    for one in open_materials(home, of.features):
        for line in one.group.attrs.get("preflight", ()):
            name, _, lacking = str(line).partition(": ")
            if name == method and lacking != "good":
                tell(f"{one.clip.id}: {method} {lacking}")


def _unextracted(home: Home, identity: str) -> list[str]:
    """Clips without any features, but for those that are refused for good; RequestError without clips."""
    from flows.failures import refused_clips
    from tasks.remember import features_of

    ledger = Ledger(home.objects)
    clips = [row["id"] for row in ledger.live_clips(identity)]
    if not clips:
        raise RequestError("no clips", where=identity, do="`memdub ingest` footage first")
    try:
        there = {one.clip.id for one in features_of(home, ledger, identity)}
    except RequestError:
        return clips
    refused = refused_clips(ledger)
    return [clip for clip in clips if clip not in there and clip not in refused]


class _Teller:
    """Progress as a bar on a terminal, and as a line for every tenth elsewhere."""

    def __init__(
        self, name: str, bar: Callable[[int, int], None] | None, tell: Callable[[str], None]
    ) -> None:
        self._name, self._bar, self._tell, self._tenth = name, bar, tell, -1

    def __call__(self, told: Any) -> None:
        if self._bar is not None:
            self._bar(told.step, told.steps)
            if not in_prefect():  # a terminal; Prefect has room for both
                return
        tenth = 10 * told.step // told.steps
        if tenth == self._tenth:
            return
        self._tenth = tenth
        minutes, seconds = divmod(int(told.seconds_left), 60)
        left = f"at most {minutes}:{seconds:02} left" if told.step < told.steps else "all steps"
        self._tell(
            f"{self._name}: step {told.step} of {told.steps}, loss {told.loss:.4g}, "
            f"held out {told.held_out:.4g}, {left}"
        )


def _metrics(home: Home, checkpoint: Artifact) -> dict[str, float]:
    rows = Ledger(home.objects).rows("metrics").to_pylist()
    return {
        row["metric"]: row["value"]
        for row in rows
        if row["artifact"] == checkpoint.id and row["split"] == "held_out" and " @ " not in row["metric"]
    }


def _remember(home: Home, this: Run, identity: str, of: Ingredients, path: Path) -> None:
    """A file that leaves the stores keeps its origin."""
    import pyarrow as pa

    from storage.ledger.schemas import TABLES

    child = f"sha256:{hash_file(path)}"
    parents = [*(one.id for one in of.features), *([of.memory.id] if of.memory else [])]
    edges = [
        {"child": child, "parent": parent, "role": "exported for training", "parent_name": None}
        for parent in parents
    ]
    rows = pa.Table.from_pylist(edges, schema=TABLES["lineage"].schema)
    Ledger(home.objects).tables["lineage"].write(f"slug={identity}", rows)
    this.made.append(child)
