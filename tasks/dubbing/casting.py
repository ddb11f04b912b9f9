"""Who speaks: a method's speaker for one person, from checkpoints and a memory.

Called by `tasks.dubbing.stage`, and by comparisons that draw without making a film.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import fsspec
import numpy as np
import torch

from models.canvas.still import Plate
from models.methods import Memory, Method, Person, Speaker, Stage
from models.train import CHECKPOINT
from models.training import read_checkpoint
from storage.artifacts import Artifact, find
from storage.errors import CorruptArtifact, RequestError, WorkError
from storage.home import Home
from storage.ledger import Ledger
from storage.weights import Registry
from tasks.dubbing.shown import Showing, behind, references
from tasks.dubbing.unseen import told_mouths
from tasks.ears import Ear, ear_of_checkpoint, hears
from tasks.material import Material, person_arrays
from tasks.remember import open_memory
from tasks.training import read_weights

__all__ = ["Cast", "Trained", "newest_checkpoints"]


@dataclass(frozen=True, eq=False)
class Cast:
    """A method with everything that it needs for one person."""

    method: Method
    config: Any
    materials: Sequence[Material]
    memory: Artifact | None
    checkpoints: Mapping[str, Artifact]  # of personal stages, by name; optional ones may lack

    def inputs(self) -> dict[str, str]:
        """Artifacts by role, for a recipe."""
        told = {f"checkpoint {stage}": one.id for stage, one in sorted(self.checkpoints.items())}
        return told if self.memory is None else {**told, "memory": self.memory.id}

    def general(self, home: Home) -> dict[str, str]:
        """SHA-256 of bundled weights that are used as they are, by stage."""
        stages = [one for one in self.method.stages(self.config) if self._speaks_in_general(one)]
        return {one.name: Registry(home.url).find(str(one.general)).sha256 for one in stages}

    def _speaks_in_general(self, stage: Stage) -> bool:
        trained = stage.personal and (stage.name in self.checkpoints or not stage.optional)
        return stage.general is not None and not trained

    def showing(self, without: tuple[int, int] | None) -> Showing | None:
        """The pictures of the person that the method wants to be shown, if any."""
        count: int = getattr(self.method, "references", 0)
        last = self.method.stages(self.config)[-1] if count else None
        return None if last is None else Showing(count, last.side, last.framing, without)

    @property
    def looks(self) -> bool:
        """Whether the method is shown frames beside those that it draws on."""
        return self.showing(None) is not None or self._behind

    @property
    def _behind(self) -> bool:
        return bool(getattr(self.method, "behind", False))

    @property
    def poses(self) -> bool:
        """Whether the method moves heads."""
        return bool(getattr(self.method, "poses", False))

    def plates(
        self, home: Home, template: Material, within: tuple[int, int], without: tuple[int, int] | None
    ) -> dict[int, Plate] | None:
        """What lies behind the head, for a method that wants to know it."""
        if not self._behind:
            return None
        side = self.method.stages(self.config)[-1].side
        identity = torch.from_numpy(person_arrays(self.materials)["identity"])
        return behind(home, template, identity, side, within, without)

    def speakers(
        self, home: Home, folder: Path, seed: int, template: Material, without: tuple[int, int] | None = None
    ) -> _Maker:
        """What makes speakers; weights are read once. `folder` takes copies from a bucket."""
        mouths, showing = told_mouths(self.materials, template, without), self.showing(without)
        kept = None if self.memory is None else _remembered(home, self.memory, template, without)
        person = _person(self.materials, kept, mouths)
        if showing is not None:
            shown = references(home, self.materials, template, showing)
            person = person._replace(references=shown)
        return _Maker(self, self._weights(home, folder), person, seed)

    def _weights(self, home: Home, folder: Path) -> dict[str, dict[str, torch.Tensor]]:
        found = {}
        for stage in self.method.stages(self.config):
            if self._speaks_in_general(stage):
                weights = read_weights(Registry(home.url).find(str(stage.general)).path)
                found[stage.name] = {name: torch.from_numpy(values) for name, values in weights.items()}
            elif stage.personal:
                found[stage.name] = _checkpoint(home, self.checkpoints[stage.name], folder)
        return found


@dataclass(frozen=True, eq=False)
class _Maker:
    cast: Cast
    weights: Mapping[str, Mapping[str, torch.Tensor]]
    person: Person
    seed: int

    def __call__(self) -> Speaker:
        torch.manual_seed(self.seed)
        try:
            return self.cast.method.speaker(self.cast.config, self.weights, self.person)
        except (ValueError, KeyError) as error:
            do = "train it again"
            raise WorkError(
                f"its weights do not fit ({error})", where=self.cast.method.name, do=do
            ) from error


def _remembered(home: Home, memory: Artifact, template: Material, without: tuple[int, int] | None) -> Memory:
    """The memory as far as it may be known: no mouth of the template's frames `without`."""
    stored = open_memory(home, memory)
    first, last = without or (0, 0)
    own = np.asarray(stored.clips)[stored.clip] == template.clip.id
    known = ~(own & (stored.frame >= first) & (stored.frame < last))
    if not known.any():
        what = "all its mouths are of frames that are not to be known"
        raise RequestError(what, where=memory.id, do="ingest more footage of this person")
    told = (stored.keys, stored.patches, stored.points, stored.turn)
    return Memory(*(torch.from_numpy(values[known]) for values in told))


def _person(materials: Sequence[Material], kept: Memory | None, mouths: Sequence[Material]) -> Person:
    """Of whom a speaker speaks, as clips and memory say; how a mouth usually is, as `mouths` alone do."""
    arrays = {name: torch.from_numpy(values) for name, values in person_arrays(materials).items()}
    usual = person_arrays(mouths)
    statistics = {name: torch.from_numpy(usual[name]) for name in ("expression_mean", "expression_std")}
    return Person(arrays["identity"], arrays["texture"], kept, statistics)


class Trained(NamedTuple):
    """The person's last checkpoint of each stage, of those stages that have one."""

    fitting: dict[str, Artifact]
    outdated: dict[str, Artifact]  # of another version of the method, or of other settings: not drawn with


def newest_checkpoints(
    home: Home, identity: str, method: Method, config: Any, preset: str, ear: Ear
) -> Trained:
    """What was trained of the person's own stages.

    What was trained over the words of another ear is of no use to this one; nor are weights of another
    version or configuration, whose shapes may fit and which mean something else all the same.
    """
    ledger = Ledger(home.objects)
    rows = sorted(ledger.rows("artifacts").to_pylist(), key=lambda row: row["started"])
    wanted = {stage.name: stage for stage in method.stages(config) if stage.personal}
    how = {"method_version": method.version, "config": json.loads(json.dumps(config.as_dict()))}
    trained = Trained({}, {})
    for row in rows:
        if row["kind"] != "checkpoint" or row["identity"] != identity:
            continue
        told = json.loads(row["recipe"])["parameters"]
        asked = (told.get("method"), told.get("preset")) == (method.name, preset)
        if not asked or told.get("stage") not in wanted:
            continue
        artifact = find(ledger, row["id"], identity)
        if artifact is not None and _hears_alike(ledger, wanted[told["stage"]], artifact, ear):
            fits = all(told.get(name) == value for name, value in how.items())
            (trained.fitting if fits else trained.outdated)[told["stage"]] = artifact
    return trained


def _hears_alike(ledger: Ledger, stage: Stage, checkpoint: Artifact, ear: Ear) -> bool:
    other = ear_of_checkpoint(ledger, checkpoint) if hears(stage) else None
    return other is None or other.fits(ear)


def _checkpoint(home: Home, artifact: Artifact, folder: Path) -> dict[str, torch.Tensor]:
    key = f"{artifact.uri}/{CHECKPOINT}"
    if home.is_local:
        path = home.path(key)
    else:
        path = folder / f"{artifact.id}.safetensors"
        fs, source = fsspec.core.url_to_fs(home.uri(key))
        fs.get_file(source, str(path))
    try:
        return read_checkpoint(path)[1]
    except (ValueError, OSError) as error:
        raise CorruptArtifact(str(error), where=artifact.id, do="train it again") from error
