"""Drawing a dub piece by piece: template frames in, finished pieces of film out.

    pieces = draw_all(scene, folder, new_speaker, workers=2, step=bar, stop=flag)

A piece is a few seconds of output and depends on nothing but the recipe: pieces are drawn by several threads
at once, a finished one is never drawn again, and a run that was killed loses those under way. A speaker that
remembers frames is shown those before a piece first, so that no seam shows.

Called by `tasks.dubbing.stage`. Shape legend: n frames of the output, B of a block.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.methods import Drawn, Fit, Motion, Near, Speaker, Template, View
from storage.errors import WorkError
from storage.media import Colours, MediaWriter, VideoReader
from tasks.dubbing.clock import Clock
from tasks.dubbing.film import pictures, stretch_of
from tasks.dubbing.motion import Moving
from tasks.dubbing.planes import head_box, in_colour, lay
from tasks.dubbing.walk import settling

__all__ = ["Scene", "Stopped", "draw_all", "remembers", "view_of"]

U8 = NDArray[np.uint8]
_BLOCK = 8
_LOOK_UP_S = 0.1
_PIECES, _SHORTEST_S, _LONGEST_S = 8, 1.0, 4.0
# Frames that a speaker with a memory is shown before a piece.
_WARM_UP = 10
# How finely pictures are coded. Of large ones half the work gives the same fidelity for a fifth more bytes.
_SMALL_PX = 500_000
_FINE: dict[str, Any] = {"crf": 16, "preset": "fast"}
_FINE_LARGE: dict[str, Any] = {"crf": 14, "preset": "veryfast"}
_LOSSLESS: dict[str, Any] = {"crf": 0, "preset": "veryfast"}


class Stopped(Exception):
    """The drawing was told to stop."""


@dataclass(frozen=True, eq=False)
class Scene:
    """All that decides the pictures of a dub, but for the speaker. The video is read as planes."""

    video: VideoReader
    template: Template
    order: NDArray[np.int64]  # (n,) the template's frame
    run: NDArray[np.int32]  # (n,) changes where the picture jumps
    share: NDArray[np.float32]  # (n,) 0 to 1, how far it is redrawn
    moving: Moving
    lossless: bool = False
    warm_up: int = 0
    reach: tuple[int, int] | None = None  # frames before and after one that its motion is asked for, too
    unrest: float = 0.0  # of what lies behind a head that is moved; told, not drawn

    @cached_property
    def moves(self) -> NDArray[np.float32]:
        """(n,) 0 to 1, how far a head may be where it is wanted."""
        return settling(self.share, self.run, float(self.rate))

    @property
    def rate(self) -> Fraction:
        return self.video.rate

    @property
    def piece(self) -> int:
        """Frames of a piece; a function of the recipe alone."""
        rate = float(self.rate)
        wanted = -(-len(self.order) // _PIECES)
        return int(np.clip(wanted, round(_SHORTEST_S * rate), round(_LONGEST_S * rate)))

    @property
    def coding(self) -> dict[str, Any]:
        """A writer's options."""
        if self.lossless:
            return _LOSSLESS
        width, height = self.video.size
        return _FINE if width * height <= _SMALL_PX else _FINE_LARGE

    def pieces(self) -> list[tuple[int, int]]:
        """(start, stop) of all pieces."""
        total = len(self.order)
        return [(at, min(at + self.piece, total)) for at in range(0, total, self.piece)]


@dataclass
class _Crew:
    """What the threads of one drawing share."""

    scene: Scene
    folder: Path
    new_speaker: Callable[[], Speaker]
    clock: Clock
    step: Callable[[int], None]
    stop: threading.Event
    own: threading.local = field(default_factory=threading.local)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def speaker(self) -> Speaker:
        """This thread's own; it begins anew with every piece."""
        if not hasattr(self.own, "speaker"):
            # Threads of torch's own would fight with ours for the cores.
            torch.set_num_threads(1)
            self.own.speaker = self.new_speaker()
        speaker: Speaker = self.own.speaker
        with self.clock("draw"):
            speaker.meet(self.scene.template)
        return speaker


def piece_path(folder: Path, start: int) -> Path:
    """Where the piece that begins with this frame is, once it is finished."""
    return folder / f"piece-{start:08}.mp4"


def draw_all(
    scene: Scene,
    folder: Path,
    new_speaker: Callable[[], Speaker],
    *,
    workers: int,
    clock: Clock,
    step: Callable[[int], None],
) -> Sequence[Path]:
    """All pieces in order; those that are there already are not drawn again."""
    pieces = scene.pieces()
    todo = [piece for piece in pieces if not piece_path(folder, piece[0]).exists()]
    step(len(scene.order) - sum(stop - start for start, stop in todo))
    crew = _Crew(scene, folder, new_speaker, clock, step, threading.Event())
    with ThreadPoolExecutor(max(1, min(workers, len(todo)))) as pool:
        futures = [pool.submit(_draw_piece, crew, *piece) for piece in todo]
        try:
            for future in _all_done(futures):
                future.result()
        finally:
            # After ctrl-C or a failure, the others come back at their next block.
            crew.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
    return [piece_path(folder, start) for start, _ in pieces]


def _all_done(futures: Sequence[Future[None]]) -> set[Future[None]]:
    """Those that are done, once all are or one has failed.

    Looks up now and then: a signal may reach another thread, and nothing else would wake this one for it.
    """
    while True:
        done, left = wait(futures, timeout=_LOOK_UP_S, return_when=FIRST_EXCEPTION)
        if not left or any(one.exception() for one in done):
            return done


def _draw_piece(crew: _Crew, start: int, stop: int) -> None:
    scene = crew.scene
    if crew.stop.is_set():
        raise Stopped
    speaker = crew.speaker()
    path = piece_path(crew.folder, start)
    with ExitStack() as closing:
        film = closing.enter_context(MediaWriter(path, scene.video.size, scene.rate, **scene.coding))
        for begin, block in drawn_blocks(scene, speaker, max(start - scene.warm_up, 0), stop, crew.clock):
            if crew.stop.is_set():
                raise Stopped
            fresh = block[max(start - begin, 0) :]
            with crew.clock("encode"):
                for planes in fresh:
                    film.write_planes(planes)
            with crew.lock:
                crew.step(len(fresh))
        with crew.clock("encode"):
            # Most of a short piece is coded only now: the coder looks ahead.
            closing.close()


def drawn_blocks(
    scene: Scene, speaker: Speaker, start: int, stop: int, clock: Clock
) -> Iterator[tuple[int, list[U8]]]:
    """Finished planes of output frames start to stop, as they go to the coder: (first frame, planes)."""
    frames, colours = pictures(scene.video, scene.order[start:stop]), Colours()
    for begin, end in _blocks(scene, start, stop):
        with clock("decode"):
            block = [next(frames) for _ in range(begin, end)]
        if scene.share[begin] > 0:
            with clock("colours"):
                view = view_of(scene, begin, block, colours)
            with clock("draw"):
                drawn = _checked(speaker.draw(view), end - begin)
            with clock("paste"):
                block = lay(block, drawn)
        yield begin, block


def _blocks(scene: Scene, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Frames that are drawn at once: of one run, all of them redrawn or none."""
    most = min(_BLOCK, stretch_of(scene.video.size))
    begin = start
    while begin < stop:
        end = begin + 1
        drawn = scene.share[begin] > 0
        while end < min(stop, begin + most) and scene.run[end] == scene.run[begin]:
            if (scene.share[end] > 0) != drawn:
                break
            end += 1
        yield begin, end
        begin = end


def view_of(scene: Scene, begin: int, block: Sequence[U8], colours: Colours) -> View:
    """Output frames from `begin` on, whose template planes these are."""
    end = begin + len(block)
    rows = torch.from_numpy(scene.order[begin:end])
    fit = Fit(*(part[rows] for part in scene.template.fit))
    pictures = in_colour(block, head_box(fit, *scene.video.size), colours)
    run = torch.from_numpy(scene.run[begin:end].astype(np.int64))
    share = torch.from_numpy(scene.share[begin:end].copy())
    return View(pictures, rows, run, fit, scene.moving.at(begin, end), share, _near(scene, begin, end))


def _near(scene: Scene, begin: int, end: int) -> Near | None:
    """What is done around frames begin to end; the ends of their run hold on."""
    if scene.reach is None:
        return None
    before, after = scene.reach
    wanted = np.arange(begin - before, end + after)
    same = np.flatnonzero(scene.run == scene.run[begin])
    at = np.clip(wanted, same[0], same[-1])
    low, high = int(at[0]), int(at[-1]) + 1
    motion, own = scene.moving.at(low, high), torch.from_numpy(at - low)
    rows = torch.from_numpy(scene.order[at])
    fit = Fit(*(part[rows] for part in scene.template.fit))
    moved = Motion(*(None if part is None else part[own] for part in motion))  # type: ignore[arg-type]
    return Near(fit, moved, torch.from_numpy(scene.moves[at]))


def _checked(drawn: Drawn, count: int) -> Drawn:
    """What a method drew, if it is what a method may draw."""
    patches, places, alpha = drawn
    whole = len(patches) == len(places) == len(alpha) == count
    if not whole or not torch.isfinite(places).all() or not torch.isfinite(alpha).all():
        raise WorkError("the method drew what is no picture", where="dub", do="report it as a bug")
    return drawn


def remembers(scene: Scene, speaker: Speaker, begin: int) -> tuple[bool, Drawn]:
    """Whether the speaker draws a frame otherwise after another one; and what it draws at `begin`."""
    count = min(2, len(scene.order) - begin)
    films = (scene.video.read(int(n), int(n) + 1) for n in scene.order[begin : begin + count])
    views = [view_of(scene, begin + k, [next(one)], Colours()) for k, one in enumerate(films)]
    speaker.meet(scene.template)
    drawn = _checked(speaker.draw(views[0]), 1)
    if count < 2:
        return False, drawn
    after = speaker.draw(_with(views[1], views[0]))
    speaker.meet(scene.template)
    alone = speaker.draw(_with(views[1], views[0]))
    return not torch.equal(after.patches, alone.patches), drawn


def _with(view: View, other: View) -> View:
    """The view as one of the other's run, with another motion, so that memory of either shows."""
    near = view.near and view.near._replace(motion=_halfway(view.near.motion))
    return view._replace(run=other.run, motion=_halfway(view.motion), near=near)


def _halfway(motion: Motion) -> Motion:
    fields = {name: getattr(motion, name) for name in ("expression", "around", "heard")}
    return motion._replace(**{name: value * 0.5 for name, value in fields.items() if value is not None})
