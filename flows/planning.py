"""What would run: every stage of every clip as done, to run, failed or blocked, with the minutes expected.

Writes nothing and opens no footage: what a new file holds is guessed from its size. Called by the command
line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.failures import is_for_good, standing
from flows.foreseeing import Foreseen, after
from flows.intake import Intake, everyone, survey_files, why_not
from flows.inventory import CLIP_STAGES, Inventory
from flows.keeping import memory_due, retrainings
from flows.pace import Pace
from flows.shrinking import Shrinks, check_shrink
from flows.speech import newest_speech
from storage import consent
from storage.artifacts import find_whole
from storage.errors import ConsentError, MemdubError, RequestError
from storage.home import Home, check_slug
from storage.ledger import Ledger

if TYPE_CHECKING:
    from storage.recipes import Recipe

__all__ = ["FLOWS", "Plan", "Step", "plan"]

FLOWS = ("refresh", "ingest", "extract", "remember", "train", "dub")
# What each flow does itself; of what it runs before, only what is missing is told.
TOUCHES = {
    "refresh": {"ingest", "extract", "remember", "train"},
    "ingest": {"ingest"},
    "extract": {"extract"},
    "remember": {"extract", "remember"},
    "train": {"extract", "remember", "train"},
    "dub": {"extract", "remember", "train", "dub"},
}


@dataclass
class Step:
    """One stage of one clip, file, or person."""

    stage: str
    identity: str
    subject: str
    state: str  # done, to run, failed, blocked
    minutes: float | None = None  # of what is to run; None where no past run tells
    why: str | None = None
    file: str | None = None  # its footage, as people know it


@dataclass
class Plan:
    """All steps, and how long those to run may take, one after another."""

    steps: list[Step] = field(default_factory=list)
    stops: str | None = None  # why it would stop before it changes anything

    @property
    def minutes(self) -> float:
        return sum(one.minutes or 0.0 for one in self.steps if one.state == "to run")

    @property
    def unknown(self) -> list[str]:
        """Stages to run of which no past run tells how long they take."""
        return sorted({one.stage for one in self.steps if one.state == "to run" and one.minutes is None})

    def count(self, state: str) -> int:
        return sum(one.state == state for one in self.steps)

    def as_dict(self) -> dict[str, Any]:
        steps = [asdict(one) for one in self.steps]
        told = {"minutes": self.minutes, "minutes_unknown_of": self.unknown, "stops": self.stops}
        return {"plan": steps, **told}


def plan(
    flow: str = "refresh",
    identities: Sequence[str] = (),
    *,
    home: str | None = None,
    method: str = "memface",
    preset: str = "cpu",
    audio: Path | None = None,
    retrain_at: float = 0.2,
) -> Plan:
    """What `flow` would do for these identities, or for all; a refresh does what is new, and no more."""
    if flow not in FLOWS:
        raise RequestError("no such flow", where=flow, do=f"use one of {', '.join(FLOWS)}")
    place = Home(home)
    for identity in identities:
        check_slug(identity)
    ledger = Ledger(place.objects)
    # As each goes itself: through the folders of raw/, or through the people who agreed.
    everybody = everyone(place, ledger) if "ingest" in TOUCHES[flow] else consent.identities(place)
    names = list(identities) or everybody
    planner = _Planner(place, ledger, flow, Pace(ledger), (method, preset), audio, retrain_at)
    steps = [step for name in names for step in planner.of(name)]
    return Plan(steps, planner.stops() if flow == "refresh" else None)


@dataclass
class _Planner:
    """What is the same for everyone."""

    home: Home
    ledger: Ledger
    flow: str
    pace: Pace
    method: tuple[str, str]
    audio: Path | None
    retrain_at: float

    def __post_init__(self) -> None:
        self.standing = standing(self.ledger)
        self.failed = {(row["stage"], row["subject"]): row for row in self.standing}
        self.intakes: list[Intake] = []

    def stops(self) -> str | None:
        """What the guard of a refresh would say."""
        try:
            check_shrink(self.home, self.intakes)
        except Shrinks as error:
            return str(error)
        return None

    def of(self, identity: str) -> Iterable[Step]:
        """One person's steps."""
        own = self.flow == "dub"
        reason = self._refusal(identity, "dub") if own else why_not(self.home, identity)
        if reason is not None:
            return [Step(self.flow, identity, identity, "blocked", None, reason)]
        touched = TOUCHES[self.flow]
        inventory = Inventory(self.home, self.ledger, identity)
        steps: list[Step] = []
        if "ingest" in touched:
            tell: Callable[[str], None] = lambda line: None  # noqa: E731
            intake = survey_files(self.home, self.ledger, identity, tell=tell, read=False)
            self.intakes.append(intake)
            steps += self._files(intake)
            if self.flow == "refresh":
                inventory = self._after(inventory, intake, steps)
        if touched & {"ingest", "extract"}:
            steps += [step for row in inventory.clips for step in self._clip(inventory, row)]
        if own:
            steps += self._needed(inventory, steps)
            return [*steps, *self._dubbing(inventory)]
        for stage, tell_of in (("remember", self._memory), ("train", self._training)):
            if stage in touched:
                steps += tell_of(inventory, steps)
        return steps

    def _after(self, inventory: Inventory, intake: Intake, steps: Sequence[Step]) -> Inventory:
        """As the refresh leaves it: what is gone retired, what is new extracted, as long as sizes tell."""
        new = {one.subject for one in steps if (one.stage, one.state) == ("features", "to run")}
        seconds = {one.seen.path: self.pace.footage_of(one.seen.bytes) for one in intake.takings}
        found = Foreseen(retired=intake.unheld(intake.former()), new={path: seconds[path] for path in new})
        refused = {row["subject"] for row in self.standing if is_for_good(row)}
        return after(inventory, intake, found, refused, math.inf)

    def _refusal(self, identity: str, purpose: consent.Purpose) -> str | None:
        try:
            consent.require(self.home, identity, purpose)
        except (ConsentError, RequestError) as error:
            return error.what
        return None

    def _files(self, intake: Intake) -> Iterable[Step]:
        """What is bad, left, new or gone; of what is done the clip tells."""
        who, contents = intake.identity, {row["id"]: row["source_sha256"] for row in intake.clips}
        for one in intake.same:
            known = one.known or {}
            spoiled = contents.get(str(known.get("clip"))) != known.get("sha256")
            if known.get("state") == "quarantined" and spoiled:
                yield Step("ingest", who, one.path, "failed", None, known.get("reason"), one.path)
        for file in intake.files:
            yield Step("ingest", who, file.path, "blocked", None, file.reason, file.path)
        # Without reading it: a file of this name and size was ingested by hand.
        by_hand = {(row["source_name"], row["source_bytes"]) for row in intake.clips}
        for taking in intake.takings:
            size, path = taking.seen.bytes, taking.seen.path
            if taking.sha256 in contents.values():
                continue
            if taking.change.kind == "new" and (path.rpartition("/")[2], size) in by_hand:
                continue
            yield Step("ingest", who, path, "to run", self.pace.of_file(size), "new, or changed", path)
            if self.flow == "refresh":
                frames = self.pace.frames_of(size)
                for stage in CLIP_STAGES:
                    yield Step(stage, who, path, "to run", self.pace.of_frames(stage, frames), None, path)
        retired = intake.unheld(intake.former())
        for gone in intake.gone:
            if gone.known is None or gone.known["clip"] not in retired:
                continue
            yield Step("retire", who, gone.path, "to run", 0.0, "its file is gone", gone.path)

    def _clip(self, inventory: Inventory, row: dict[str, Any]) -> Iterable[Step]:
        """What extraction would do: of what is there already, only `extract` itself asks how it was made."""
        clip, who, name = row["id"], inventory.identity, row["source_name"]
        if "ingest" in TOUCHES[self.flow]:
            yield Step("ingest", who, clip, "done", None, None, name)
        if "extract" not in TOUCHES[self.flow]:
            return
        if clip in inventory.extracted and self.flow != "extract":
            for stage in CLIP_STAGES:
                yield Step(stage, who, clip, "done", None, _outdated(inventory, clip, stage), name)
            return
        missing = {one.kind for one in self._to_run(inventory, clip)}
        failure = self.failed.get(("extract", clip))
        first = next((stage for stage in CLIP_STAGES if stage in missing), None)
        for stage in CLIP_STAGES:
            if stage not in missing:
                yield Step(stage, who, clip, "done", None, None, name)
            elif failure is not None and failure["error"] == "MediaError" and self.flow != "extract":
                state = "failed" if stage == first else "blocked"
                yield Step(stage, who, clip, state, None, failure["reason"], name)
            else:
                again = None if failure is None else f"failed before: {failure['reason']}"
                minutes = self.pace.of_frames(stage, row["frames"])
                yield Step(stage, who, clip, "to run", minutes, again, name)

    def _to_run(self, inventory: Inventory, clip: str) -> list[Recipe]:
        from tasks.chain import Chain, ExtractOptions, Ingredients

        # The command `extract` takes what its options say; others do what the person's last clip had.
        options = ExtractOptions() if self.flow == "extract" else inventory.extract_options()
        chain = Chain.of(clip, Ingredients.gather(self.home, options))
        who = inventory.identity
        if find_whole(self.home, self.ledger, chain.features, who) is not None:
            return []
        return [one for one in chain if find_whole(self.home, self.ledger, one, who) is None]

    def _memory(self, inventory: Inventory, before: Sequence[Step]) -> Iterable[Step]:
        who = inventory.identity
        reason = self._refusal(who, "train") or self._nothing(inventory, before)
        if reason is not None:
            return [Step("remember", who, who, "blocked", None, reason)]
        new = any(one.stage == "features" and one.state == "to run" for one in before)
        if inventory.memory() is not None and not new:
            return [Step("remember", who, who, "done")]
        failure = self.failed.get(("remember", who))
        if self.flow == "refresh" and failure is not None and not memory_due(inventory, self.standing):
            return [Step("remember", who, who, "failed", None, failure["reason"])]
        frames = sum(row["frames"] for row in inventory.clips)
        why = None if failure is None else f"failed before: {failure['reason']}"
        return [Step("remember", who, who, "to run", self.pace.of_frames("remember", frames), why)]

    def _training(self, inventory: Inventory, before: Sequence[Step]) -> Iterable[Step]:
        who, (method, preset) = inventory.identity, self.method
        reason = self._refusal(who, "train") or self._nothing(inventory, before)
        there = inventory.checkpoints()
        if reason is not None:
            wanted = there or self.flow != "refresh"
            return [Step("train", who, who, "blocked", None, reason)] if wanted else []
        if self.flow == "refresh":
            due = {one.subject: one for one in retrainings(inventory, self.retrain_at)}
            names = [(pair, stage) for pair, stages in there.items() for stage in stages]
        else:
            due = {}
            names = [((method, preset), stage) for stage in _stages(method, preset)]
        steps = []
        for pair, stage in names:
            subject, why = ":".join((*pair, stage)), None
            changed = stage not in there.get(pair, {}) or inventory.changed_share(there[pair][stage]) > 0
            run = subject in due if self.flow == "refresh" else changed
            why = due[subject].why if subject in due else None
            minutes = self.pace.of_training(*pair, stage) if run else None
            steps.append(Step("train", who, subject, "to run" if run else "done", minutes, why))
        return steps

    def _needed(self, inventory: Inventory, before: Sequence[Step]) -> Iterable[Step]:
        """Without what there is no dub; nobody is asked to agree to a training that is not to be."""
        from flows.dub import before as needed
        from tasks.dubbing.stage import DubOptions
        from tasks.training import TrainOptions, method_of

        who = inventory.identity
        method_of(TrainOptions(*self.method))
        try:
            wanted = needed(who, DubOptions(*self.method), home=self.home.url)
        except MemdubError:  # which the dub itself will say
            return
        refusal = self._refusal(who, "train") or self._nothing(inventory, before)
        for one in wanted:
            name, _, stage = one.step.partition(" ")
            subject = ":".join((*self.method, stage)) if stage else who
            if one.done:
                yield Step(name, who, subject, "done")
            elif not stage:
                yield from self._memory(inventory, before)
            elif refusal is not None:
                yield Step(name, who, subject, "blocked", None, refusal)
            else:
                yield Step(name, who, subject, "to run", self.pace.of_training(*self.method, stage))

    def _dubbing(self, inventory: Inventory) -> Iterable[Step]:
        from flows.dub import plan as plan_dub
        from tasks.dubbing.stage import DubOptions

        who, (method, preset) = inventory.identity, self.method
        minutes, name = self.pace.of_dub(method, preset), who
        try:
            audio = self.audio or newest_speech(self.home, who)
            name = audio.name
            steps = plan_dub(who, audio, options=DubOptions(method, preset), home=self.home.url)
        except MemdubError as error:
            return [Step("dub", who, name, "blocked", None, str(error))]
        done = steps[-1].done
        return [Step("dub", who, name, "done" if done else "to run", None if done else minutes)]

    def _nothing(self, inventory: Inventory, before: Sequence[Step]) -> str | None:
        """Why there is nothing to learn from, and will not be."""
        coming = any(one.stage == "features" and one.state in ("to run", "done") for one in before)
        return None if inventory.extracted or coming else "no features to learn from"


def _stages(method: str, preset: str) -> list[str]:
    from tasks.training import TrainOptions, method_of

    made, config = method_of(TrainOptions(method, preset))
    return [stage.name for stage in made.stages(config) if stage.personal]


def _outdated(inventory: Inventory, clip: str, stage: str) -> str | None:
    """Said of what another version made: a refresh leaves it, a backfill does it again."""
    from tasks.chain import VERSIONS

    row = inventory.newest(stage).get(clip)
    if row is None or row["stage_version"] == VERSIONS[stage]:
        return None
    made, now = row["stage_version"], VERSIONS[stage]
    return f"by version {made}, now there is {now}: memdub backfill --stage {stage} --since {made}"
