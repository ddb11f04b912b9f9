"""The flow `retry`: what failed and has not succeeded since, once more; and nothing else.

Each is tried as it was asked for then: the same options, the same file. Called by the command line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.again import extract_clips
from flows.batch import first_few, refusals
from flows.engine import as_error
from flows.failures import is_of_flow, standing
from flows.keeping import Retraining, mark_refused
from flows.watching import Watch, no_progress
from storage import consent
from storage.artifacts import Artifact
from storage.errors import (
    ConsentError,
    HomeError,
    LeaseLost,
    MemdubError,
    PartlyFailed,
    RequestError,
    WorkError,
)
from storage.home import Home, check_slug
from storage.ledger import Ledger
from storage.runs import Run, record_failure, run
from tasks.sources import local_copy, look

if TYPE_CHECKING:
    from tasks.footage import IngestOptions

__all__ = ["Retried", "Trial", "retry"]


@dataclass
class Trial:
    """A failure, and what became of it."""

    stage: str
    identity: str | None
    subject: str
    reason: str
    attempt: int  # how often it was tried before
    became: str = "to try"  # done, failed, gone, blocked, left
    why: str | None = None


@dataclass
class Retried:
    """What was tried again."""

    trials: list[Trial] = field(default_factory=list)
    made: list[Artifact] = field(default_factory=list)
    failed: list[MemdubError] = field(default_factory=list)
    dry_run: bool = False

    def as_dict(self) -> dict[str, Any]:
        made = [one.as_dict() for one in self.made]
        return {
            "dry_run": self.dry_run,
            "failures": [asdict(one) for one in self.trials],
            "artifacts": made,
            "failed": refusals(self.failed),
        }

    @property
    def status(self) -> str:
        return "partly" if self.failed else "done"

    def error(self) -> MemdubError | None:
        """What failed again, as one error; None where nothing did."""
        if not self.failed:
            return None
        what = f"{len(self.failed)} of {len(self.trials)} failed again: {first_few(self.failed)}"
        return PartlyFailed(what, do="`memdub status` says why")


def retry(
    identities: Sequence[str] = (),
    *,
    home: str | None = None,
    workers: int | None = None,
    dask_address: str | None = None,
    cluster: str | None = None,
    limit: int | None = None,
    dry_run: bool = False,
    watch: Watch = no_progress,
    tell: Callable[[str], None] = lambda line: None,
) -> Retried:
    """Try what failed once more: of these identities, or of all."""
    place = Home(home)
    for identity in identities:
        check_slug(identity)
    ledger = Ledger(place.objects)
    rows = [row for row in standing(ledger) if not identities or row["identity"] in identities]
    trials = [
        Trial(row["stage"], row["identity"], row["subject"], row["reason"], row["attempt"]) for row in rows
    ]
    if limit is not None:
        rows, trials = rows[:limit], trials[:limit]
    if dry_run or not rows:
        return Retried(trials, dry_run=dry_run)
    whom = identities[0] if len(identities) == 1 else None
    how = {"workers": workers, "dask_address": dask_address, "cluster": cluster}
    with run(ledger, "retry", identity=whom, arguments={"identities": list(identities)}) as this:
        work = _Work(place, this, how, watch, tell, Retried(trials))
        work.do(list(zip(rows, trials, strict=True)))
        for identity in {str(trial.identity) for trial in trials if trial.stage == "extract"}:
            mark_refused(ledger, identity, this)
        this.status = work.result.status
    return work.result


@dataclass
class _Work:
    """One retry."""

    home: Home
    run: Run
    how: dict[str, Any]
    watch: Watch
    tell: Callable[[str], None]
    result: Retried

    def __post_init__(self) -> None:
        runs = Ledger(self.home.objects).rows("runs").to_pylist()
        self.asked = {row["id"]: (row["flow"], json.loads(row["arguments"] or "{}")) for row in runs}

    def do(self, pairs: Sequence[tuple[Mapping[str, Any], Trial]]) -> None:
        """Clips together, as workers are shared; the rest one by one."""
        clips = [(row, trial) for row, trial in pairs if trial.stage == "extract" and not is_of_flow(row)]
        self._extract(clips)
        for row, trial in pairs:
            if (row, trial) not in clips:
                self._do(row, trial)

    def _do(self, row: Mapping[str, Any], trial: Trial) -> None:
        self.tell(f"{trial.stage} {trial.subject}: {trial.reason}")
        try:
            made = self._try(row, trial)
        except (HomeError, LeaseLost):
            raise
        except ConsentError as error:
            trial.became, trial.why = "blocked", error.what
        except Exception as error:  # the others are tried all the same
            told = as_error(error)
            self._failed(trial, told)
            if isinstance(told, RequestError):  # flows write down what breaks, and no request that is wrong
                said = {"stage": trial.stage, "subject": trial.subject, "identity": trial.identity}
                record_failure(Ledger(self.home.objects), self.run, error=told, **said)
        else:
            if made:
                trial.became = "done"
                self.result.made += made

    def _failed(self, trial: Trial, error: MemdubError) -> None:
        trial.became, trial.why = "failed", error.what
        self.result.failed.append(type(error)(error.what, where=error.where or trial.subject, do=error.do))

    def _try(self, row: Mapping[str, Any], trial: Trial) -> list[Artifact]:
        """What was made; nothing, with the trial marked, where there was nothing to try."""
        flow, asked = self.asked.get(row["run_id"], ("", {}))
        if not is_of_flow(row):
            return self._ingest(trial, asked)
        again = {
            "extract": self._extract_all,
            "remember": self._remember,
            "train": self._train,
            "dub": self._dub,
            "evaluate": self._evaluate,
        }
        if trial.stage not in again or "export" in asked:
            trial.became, trial.why = "left", f"run `memdub {trial.stage}` again"
            return []
        return again[trial.stage](trial, asked if flow == trial.stage else {})

    def _ingest(self, trial: Trial, asked: Mapping[str, Any]) -> list[Artifact]:
        from fractions import Fraction

        from flows.ingest import ingest
        from tasks.footage import IngestOptions

        rate = asked.get("rate")
        options = {
            "rate": Fraction(rate) if rate else None,
            "max_side": asked.get("max_side"),
            "silent_ok": bool(asked.get("silent_ok")),
        }
        if "://" in trial.subject:
            return self._ingest_from_bucket(trial, IngestOptions(**options))
        file = Path(trial.subject)
        if not file.is_file():
            return self._gone(trial)
        done = ingest([file], str(trial.identity), **self._told(), **options)
        done.raise_if_refused()
        _release(self.home, self.run, str(trial.identity), trial.subject, done.clips[0])
        return list(done.clips)

    def _gone(self, trial: Trial) -> list[Artifact]:
        trial.became, trial.why = "gone", "the file is no longer there"
        return []

    def _ingest_from_bucket(self, trial: Trial, options: IngestOptions) -> list[Artifact]:
        """A file of a bucket's raw/, as a refresh takes it; a run of its own tells that it was taken."""
        from tasks.ingest import ingest_file

        identity, ledger = str(trial.identity), Ledger(self.home.objects)
        consent.require(self.home, identity, "ingest")
        seen = next((one for one in look(self.home, identity).files if one.where == trial.subject), None)
        if seen is None:
            return self._gone(trial)
        failed: MemdubError | None = None
        asked = {"videos": [trial.subject], **asdict(options)}
        with run(ledger, "ingest", identity=identity, arguments=asked) as this:
            try:
                with local_copy(self.home, seen) as file, self.watch(seen.path, 1, 1) as progress:
                    clip = ingest_file(self.home, file, identity, options, progress=progress)
            except (HomeError, LeaseLost, ConsentError):
                raise
            except Exception as error:
                told = as_error(error)
                # Not the copy, which is gone by now.
                failed = type(told)(told.what, where=trial.subject, do=told.do)
                this.status = "refused" if isinstance(failed, RequestError) else "failed"
                if this.status == "failed":
                    said = {"stage": "ingest", "subject": trial.subject, "identity": identity}
                    record_failure(ledger, this, error=failed, **said)
        if failed is not None:
            raise failed
        _release(self.home, self.run, identity, trial.subject, clip)
        return [clip]

    def _extract(self, pairs: Sequence[tuple[Mapping[str, Any], Trial]]) -> None:
        from tasks.chain import ExtractOptions

        ledger = Ledger(self.home.objects)
        groups: dict[ExtractOptions, dict[str, Trial]] = {}
        for row, trial in pairs:
            identity = str(trial.identity)
            self.tell(f"extract {trial.subject}: {trial.reason}")
            if trial.subject not in {one["id"] for one in ledger.live_clips(identity)}:
                trial.became, trial.why = "gone", "the clip is retired"
                continue
            try:
                consent.require(self.home, identity, "ingest")
            except ConsentError as error:
                trial.became, trial.why = "blocked", error.what
                continue
            options = ExtractOptions(**self.asked.get(row["run_id"], ("", {}))[1].get("options", {}))
            groups.setdefault(options, {})[trial.subject] = trial
        for options, trials in groups.items():
            whose = {clip: str(trial.identity) for clip, trial in trials.items()}
            how = {**self.how, "watch": self.watch, "tell": self.tell}
            made, failed = extract_clips(self.home, options, whose, **how)
            self.result.made += made.values()
            for clip, trial in trials.items():
                trial.became = "done"
                if clip in failed:
                    self._failed(trial, WorkError(failed[clip], where=clip))

    def _extract_all(self, trial: Trial, asked: Mapping[str, Any]) -> list[Artifact]:
        from flows.extract import extract
        from tasks.chain import ExtractOptions

        named = asked.get("identities") or ([trial.identity] if trial.identity else [])
        options = ExtractOptions(**asked.get("options", {}))
        done = extract(named, options=options, **self.how, **self._told())
        done.raise_if_refused()
        return [one.features for one in done.outcomes]

    def _told(self) -> dict[str, Any]:
        return {"home": self.home.url, "watch": self.watch, "tell": self.tell}

    def _remember(self, trial: Trial, asked: Mapping[str, Any]) -> list[Artifact]:
        from flows.remember import remember

        slots = {"slots": asked["slots"]} if "slots" in asked else {}
        return [remember(str(trial.identity), home=self.home.url, **slots).memory]

    def _train(self, trial: Trial, asked: Mapping[str, Any]) -> list[Artifact]:
        from flows.train import train
        from tasks.material import Cut
        from tasks.training import TrainOptions

        if "options" in asked:
            told = dict(asked["options"])
            options = TrainOptions(**{**told, "cut": Cut(**told["cut"])})
        else:  # refused inside a refresh: its subject says which
            method, preset, *stage = trial.subject.split(":")
            options = Retraining(str(trial.identity), method, preset, *(stage or [None]), None).options()
        how = {name: asked[name] for name in ("where", "device", "processes") if name in asked}
        done = train(str(trial.identity), options, **how, **self._told())
        return [one.checkpoint for one in done.outcomes]

    def _dub(self, trial: Trial, asked: Mapping[str, Any]) -> list[Artifact]:
        from flows.dub import dub
        from tasks.dubbing.stage import DubOptions

        if not asked:
            raise RequestError("nobody knows with which speech", do="run `memdub dub` again")
        out = asked["out"] if str(asked["out"]).lower().endswith(".mp4") else None
        options = DubOptions(**asked.get("options", {}))
        how = {name: asked[name] for name in ("where", "workers") if name in asked}
        return [dub(str(trial.identity), asked["audio"], out, options=options, **how, **self._told()).dub]

    def _evaluate(self, trial: Trial, asked: Mapping[str, Any]) -> list[Artifact]:
        from flows.evaluate import evaluate

        options = {name: asked[name] for name in ("methods", "preset", "clips", "speech") if name in asked}
        if asked.get("clip"):  # asked for when there could be one only
            options["clips"] = [asked["clip"]]
        return [evaluate(str(trial.identity), **options, **self._told()).evaluation]


def _release(home: Home, this: Run, identity: str, file: str, clip: Artifact) -> None:
    """Have the next refresh know that a file of raw/ is no longer bad."""
    ledger = Ledger(home.objects)
    for row in ledger.sources(identity):
        if row["state"] == "quarantined" and file.endswith(f"raw/{identity}/{row['path']}"):
            said = {"state": "done", "reason": None, "clip": clip.id, "run_id": this.id}
            ledger.note_sources(identity, [{**row, **said, "changed_at": this.started}])
