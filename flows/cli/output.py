"""What the command line prints, and where: results on standard output, all else on standard error."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from storage.errors import MemdubError

__all__ = ["duration", "json_option", "note", "print_json", "say_error", "size", "table", "watching"]


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --json to a command, as the parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")(
        command
    )


def print_json(content: dict[str, Any]) -> None:
    """One JSON object on standard output."""
    click.echo(json.dumps(content, default=_plain, ensure_ascii=False))


def say_error(error: MemdubError, *, as_json: bool) -> int:
    """One line on standard error; with --json also an object on standard output. The exit status."""
    click.echo(f"memdub: {error}", err=True)
    if as_json:
        content = {"kind": type(error).__name__, "what": error.what, "where": error.where, "do": error.do}
        print_json({"error": content})
    return error.exit_status


def note(line: str) -> None:
    """A line for the person who watches."""
    click.echo(line, err=True)


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

    click.echo(click.style(line(columns), bold=True))
    for cells in texts:
        click.echo(line(cells))


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
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    return str(value)
