"""What a run shows in the Prefect UI: progress, tables, and pages with pictures for what is to be looked at.

All of it is a view: the ledger has the same figures, and a run whose server is away goes on without. Called
by `flows.deployable`, inside Prefect flow runs only.
"""

from __future__ import annotations

import base64
import contextlib
import contextvars
import html
import re
import shlex
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from flows.engine import call, log
from storage.home import Home

if TYPE_CHECKING:
    from uuid import UUID

    from flows.dub import Dubbed
    from flows.evaluate import Evaluated

__all__ = ["dubbed", "evaluated", "key", "markdown", "note", "table", "watching"]

_PUSH_SECONDS = 2.0
_SHEET_WIDTH = 720  # pixels: the server's database is no place for large pictures


def key(*words: str) -> str:
    """An artifact's key, under which its versions gather: a-z, 0-9 and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")


def note(line: str) -> None:
    """What a flow tells the person who watches."""
    log(line)


@contextlib.contextmanager
def watching(name: str, number: int = 1, total: int = 1) -> Iterator[Callable[[int, int], None]]:
    """Progress as an artifact, for what takes more than a moment."""
    meter = _Meter(name if total == 1 else f"{name} ({number} of {total})")
    # The thread pushes as part of this run; progress itself may come from any thread, even Dask's.
    run = contextvars.copy_context().run
    thread = threading.Thread(target=run, args=(meter.push_until_done,), daemon=True)
    thread.start()
    try:
        yield meter
    finally:
        meter.done.set()
        thread.join()


class _Meter:
    def __init__(self, name: str) -> None:
        self._name, self._share, self._pushed = name, 0.0, -1.0
        self._artifact: UUID | None = None
        self.done = threading.Event()

    def __call__(self, done: int, of: int) -> None:
        self._share = 100.0 * min(done, of) / max(of, 1)

    def push_until_done(self) -> None:
        while not self.done.wait(_PUSH_SECONDS):
            self._push()
        if self._artifact is not None:  # what took a moment shows nothing
            self._push()

    def _push(self) -> None:
        share = round(self._share, 1)
        if share == self._pushed:
            return
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        with _unimportant("progress"):
            if self._artifact is None:
                name = key("progress", self._name)
                made = create_progress_artifact(share, key=name, description=self._name)
                self._artifact = cast("UUID", made)
            else:
                update_progress_artifact(self._artifact, share)
            self._pushed = share


def table(name: str, rows: Sequence[dict[str, Any]], about: str) -> None:
    """A table artifact; an empty one is shown too, for it says that there was nothing."""
    from prefect.artifacts import create_table_artifact

    plain = [{column: _plain(value) for column, value in row.items()} for row in rows]
    with _unimportant("a table"):
        create_table_artifact(plain, key=key(name), description=about)


def markdown(name: str, text: str, about: str) -> None:
    """A page of text."""
    from prefect.artifacts import create_markdown_artifact

    with _unimportant("a page"):
        create_markdown_artifact(text, key=key(name), description=about)


def dubbed(identity: str, speech: str, done: Dubbed, home: str | None) -> None:
    """The film's page and a link to it."""
    from prefect.artifacts import create_link_artifact

    name, about = f"dub {identity}", f"{identity} says {speech}"
    with _unimportant("a link"):
        create_link_artifact(done.path.as_uri(), link_text=done.path.name, key=key("film", identity))
    markdown(name, _page(about, done, home), about)


def evaluated(identity: str, done: Evaluated, home: str | None) -> None:
    """The mouths, and what is to be known of the scores."""
    from tasks.watching import smaller

    with _unimportant("the mouths"):
        rows = [*([] if done.driven else ["the truth"]), *done.told["methods"]]
        about = f"Mouths of {identity}, from above: {', '.join(rows)}"
        picture = _inline("jpeg", smaller(done.picture(Home(home)), _SHEET_WIDTH))
        notes = [f"- {_text(line)}" for line in (*done.lines(), *done.told["notes"])]
        text = [f"# {_text(about)}", f"![mouths]({picture})", "\n".join(notes), f"`{done.sheet}`"]
        markdown(f"mouths {identity}", "\n\n".join(text), about)


def _page(about: str, done: Dubbed, home: str | None) -> str:
    film, told = done.path, done.told
    rows = {
        "film": f"[{_text(film.name)}]({film.as_uri()})<br>`{film}`",
        "artifact": f"`{done.dub.id}` ({'it was there already' if done.dub.reused else 'made in this run'})",
        "over": f"`{told['template']}`, {_text(told['why'])}",
        "length": f"{told['seconds']:.1f} s, {told['frames']} frames at {told['rate']} a second",
        "signature": _signature(film, home),
        **{f"note {at}": _text(line) for at, line in enumerate(done.warnings, 1)},
    }
    lines = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    name = shlex.quote(str(film))
    ask = f"`memdub verify {name}` checks it anywhere; `memdub lineage {name}` tells what it was made of."
    return "\n\n".join([f"# {_text(about)}", _pictures(film), "\n".join(lines), ask])


def _signature(film: Path, home: str | None) -> str:
    from flows.verify import verify

    with _unimportant("the signature"):
        found = verify(film, home=home)
        error = found.error()
        if error is not None:
            return _text(str(error))
        assert found.examined is not None
        return f"holds, by {_text(str(found.examined.signer))}; it says that a model made this film"
    return "was not looked at"


def _pictures(film: Path) -> str:
    """Mouths and lip curve, as the text of images: the browser reaches no file of ours."""
    with _unimportant("pictures"):
        from tasks.glimpse import glimpse

        seen = call(glimpse, film, name=f"look at {film.name}")
        together = "" if seen.together is None else f"; lips and loudness go together by {seen.together:.2f}"
        said = f"Lips (red) over loudness, by seconds; a face in {seen.seen:.0%} of the frames{together}."
        mouths, curve = _inline("jpeg", seen.mouths), _inline("png", seen.curve)
        return f"![mouths through the film]({mouths})\n\n![lips and voice]({curve})\n\n{said}"
    return "(no pictures: the log says why)"


def _inline(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


@contextlib.contextmanager
def _unimportant(what: str) -> Iterator[None]:
    """What only shows a result must not lose it."""
    try:
        yield
    except Exception as error:
        with contextlib.suppress(Exception):
            log(f"{what} could not be shown ({type(error).__name__}: {error})", warn=True)


def _plain(value: Any) -> Any:
    """What JSON and a table's cell can hold."""
    if isinstance(value, bool | int | float | None):
        return value if not isinstance(value, float) else round(value, 4)
    return str(value)


def _text(words: str) -> str:
    """Words as they are, whatever a file is called."""
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", html.escape(words))
