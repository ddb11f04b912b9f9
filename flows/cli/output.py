"""What the command line prints, and where: results on standard output, all else on standard error."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import click

from storage.errors import MemdubError, WorkError
from storage.text import printable

__all__ = [
    "conclude",
    "duration",
    "json_option",
    "note",
    "print_json",
    "say",
    "say_error",
    "size",
    "table",
    "watching",
]


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --json to a command, as the parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")(
        command
    )


def say(line: str = "") -> None:
    """A line of the result, on standard output."""
    try:
        click.echo(printable(line))
    except BrokenPipeError:
        raise  # the reader has enough: not our failure
    except OSError as error:
        what = f"standard output cannot be written ({error.strerror})"
        raise WorkError(what, do="give it room or send it elsewhere") from error


def print_json(content: dict[str, Any]) -> None:
    """One JSON object on standard output."""
    say(json.dumps(_finite(content), default=_plain, ensure_ascii=False, allow_nan=False))


def say_error(error: MemdubError, *, as_json: bool, content: dict[str, Any] | None = None) -> int:
    """One line on standard error; with --json also one object on standard output, with what was done.

    Returns the exit status. What cannot be said is not said: there is nobody left to tell.
    """
    with contextlib.suppress(OSError):
        click.echo(printable(f"memdub: {error}"), err=True)
    if as_json:
        said = {"kind": type(error).__name__, "what": error.what, "where": error.where, "do": error.do}
        with contextlib.suppress(OSError, WorkError):
            print_json({**(content or {}), "error": said})
    return error.exit_status


class _Result(Protocol):
    """What a flow over many files or clips answers."""

    def error(self) -> MemdubError | None: ...

    def as_dict(self) -> dict[str, Any]: ...


def conclude(result: _Result, tell: Callable[[], None], *, as_json: bool) -> None:
    """Ends a command: what was done, as JSON or as `tell` says it, then what was not, by exit status."""
    error = result.error()
    if not as_json:
        tell()
    elif error is None:
        print_json(result.as_dict())
    if error is not None:
        raise click.exceptions.Exit(say_error(error, as_json=as_json, content=result.as_dict()))


def note(line: str) -> None:
    """A line for the person who watches."""
    with contextlib.suppress(OSError):
        click.echo(printable(line), err=True)


def size(count: float) -> str:
    """Bytes as people say them."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def table(columns: list[str], rows: list[list[Any]], *, right: tuple[int, ...] = ()) -> None:
    """Plain columns that a pipe can read and a person too."""
    texts = [[_cell(cell) for cell in row] for row in rows]
    widths = [max(map(len, cells)) for cells in zip(columns, *texts, strict=True)]

    def line(cells: list[str]) -> str:
        padded = [
            c.rjust(w) if i in right else c.ljust(w)
            for i, (c, w) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(padded).rstrip()

    say(click.style(line(columns), bold=True))
    for cells in texts:
        say(line(cells))


@functools.cache
def _console() -> Any:
    from rich.console import Console

    return Console(stderr=True)


@contextlib.contextmanager
def watching(name: str, number: int = 1, total: int = 1) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on a terminal, one line when it is done; nothing but the line elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    label = f"{name} ({number}/{total})" if total > 1 else name
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_console(), transient=True) as bar:
        job = bar.add_task(label, total=None)
        yield lambda done, of: bar.update(job, completed=done, total=of)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return f"{value:.3f}" if isinstance(value, float) else printable(value)


def _finite(value: Any) -> Any:
    """The same with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    return str(value)
