"""Clips that an evaluation dubs: which, whether every method can, and the dubs themselves.

    takes = Taking(home, clip, ["nearest", "memface"], "cpu", watch, tell).takes([])

Private to `flows.evaluate`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.dub import dub_within, require
from flows.failures import refused_clips
from flows.inventory import Inventory
from flows.watching import Watch
from storage.artifacts import Artifact, find, workspace_of
from storage.errors import RequestError, WorkError
from storage.home import Home
from storage.ledger import Ledger
from storage.recipes import hash_file
from storage.text import check_text

if TYPE_CHECKING:
    from tasks.dubbing.stage import DubOptions
    from tasks.material import Material
    from tasks.trials import Take, Trial

__all__ = ["ALL", "Taking", "chosen", "options_of", "require_able"]

ALL = "all"  # clips


def chosen(home: Home, identity: str, clips: Sequence[str]) -> list[Artifact]:
    """The clips that are named, by ids or how they begin; else the longest that speaks and has features."""
    ledger = Ledger(home.objects)
    rows = ledger.live_clips(identity)
    if not rows:
        raise RequestError("no clips", where=identity, do="`memdub ingest` footage first")
    there = _features(home, identity)
    longest = sorted(rows, key=lambda row: -row["duration_s"])
    able = [row for row in longest if not row["silent"]] or longest
    first = [row for row in able if row["id"] in there] or able
    named = [_named(rows, identity, one) for one in clips if one != ALL] or first[:1]
    if ALL in clips:
        refused = refused_clips(ledger)
        named = [row for row in able if row["id"] not in refused]
    found = [find(ledger, name, identity) for name in dict.fromkeys(row["id"] for row in named)]
    return [one for one in found if one is not None]


def _named(rows: Sequence[dict[str, Any]], identity: str, clip: str) -> dict[str, Any]:
    whole = clip if clip.startswith("clip-") else f"clip-{clip}"
    named = [row for row in rows if row["id"].startswith(whole)]
    if len(named) != 1:
        what = f"no clip of {identity}" if not named else f"{len(named)} clips begin so"
        do = 'see: memdub query "select id, identity from clips"'
        raise RequestError(what, where=f"--clip {clip}", do=do)
    return named[0]


def _features(home: Home, identity: str) -> dict[str, Artifact]:
    """The newest features by clip, of the clips that have some."""
    from tasks.remember import features_of

    try:
        return {one.clip.id: one.features for one in features_of(home, Ledger(home.objects), identity)}
    except RequestError:
        return {}


def options_of(methods: Sequence[str], preset: str, clip: str) -> dict[str, DubOptions]:
    """How each method is to dub; RequestError where there is no such method."""
    from tasks.dubbing.stage import DubOptions
    from tasks.training import require_methods

    require_methods(methods, "--methods")
    # Frame is held against frame: whoever moves heads keeps them as they were filmed.
    return {name: DubOptions(name, preset, template=clip, pose="template") for name in methods}


def require_able(home: Home, clip: Artifact, asked: dict[str, DubOptions], speech: Sequence[Path]) -> None:
    """RequestError for whatever any of the dubs would be refused for, before the first is made."""
    from tasks.extract import video_of

    for number, one in enumerate(speech):
        check_text(one.name, "--speech")
        if one.name in {other.name for other in speech[:number]}:
            raise RequestError(
                "named twice", where=f"--speech {one}", do="name each once, under its own name"
            )
    with video_of(home, clip) as video:
        for options in asked.values():
            for sound in speech or [video]:
                # Whether the clip shows a face is for extraction to say, which may come first.
                require(home, str(clip.identity), sound, replace(options, template=None))
    if len({hash_file(one) for one in speech}) < len(speech):
        raise RequestError("two files are the same", where="--speech", do="name each once")


@dataclass(frozen=True)
class Taking:
    """One clip, and how it is dubbed by each method."""

    home: Home
    clip: Artifact
    methods: Sequence[str]
    preset: str
    watch: Watch
    tell: Callable[[str], None]

    def takes(self, speech: Sequence[Path]) -> list[Take]:
        """Of its own sound; or one of each other speech."""
        from tasks.trials import Take, driven, scored

        material = self._material()
        if not speech:
            trials = self._over_itself(material)
            return [Take(material, trials, scored(self.home, material, trials))]
        made = []
        for sound in speech:
            trials, frames = self._driven(material, sound)
            made.append(Take(material, trials, driven(material, frames), sound.name))
        return made

    def _material(self) -> Material:
        """The clip with its features, which are made where they are missing."""
        from tasks.material import open_materials

        home, identity = self.home, str(self.clip.identity)
        if self.clip.id not in _features(home, identity):
            from flows.extract import extract

            self.tell(f"{self.clip.id} has no features: extracting them first")
            options = Inventory(home, Ledger(home.objects), identity).extract_options()
            how: dict[str, Any] = {"home": home.url, "watch": self.watch, "tell": self.tell}
            extract([identity], options=options, clips=[self.clip.id], **how).raise_if_refused()
        return open_materials(home, [_features(home, identity)[self.clip.id]])[0]

    def _over_itself(self, material: Material) -> list[Trial]:
        from tasks.trials import Trial, sounds_of, unshown

        trials = []
        with workspace_of(self.home, f"sounds-{self.clip.id}") as folder:
            own, wrong = sounds_of(self.home, material, folder)
            for name, options in self._asked().items():
                hidden = replace(options, without=unshown(material))
                made = [
                    self._dub(sound, hidden, f"{name}, {which} sound", len(material.seen))
                    for which, sound in (("its own", own), ("wrong", wrong))
                ]
                trials.append(Trial(name, *(dub for dub, _ in made)))
        return trials

    def _driven(self, material: Material, sound: Path) -> tuple[list[Trial], int]:
        from tasks.trials import Trial

        trials, frames = [], None
        for name, options in self._asked().items():
            made, frames = self._dub(sound, options, f"{name}, {sound.name}", frames)
            trials.append(Trial(name, made))
        assert frames is not None
        return trials, frames

    def _asked(self) -> dict[str, DubOptions]:
        return options_of(self.methods, self.preset, self.clip.id)

    def _dub(self, sound: Path, options: DubOptions, about: str, wanted: int | None) -> tuple[Artifact, int]:
        """A dub, and its frames: as many as are wanted."""
        from tasks.dubbing.stage import told_of

        def watching(name: str, number: int, total: int) -> Any:
            return self.watch(f"{name}: {about}" if name.startswith("dubbing") else name, number, total)

        identity = str(self.clip.identity)
        made = dub_within(self.home, identity, sound, options, watch=watching, tell=self.tell)
        frames = int(told_of(self.home, made)["frames"])
        if wanted is not None and frames != wanted:
            what = f"has {frames} frames, and others of the same have {wanted}"
            raise WorkError(what, where=made.id, do="report it as a bug")
        return made, frames
