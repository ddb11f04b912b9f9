"""The `memdub` command itself: finding the subcommand, and turning every error into one line."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import io
import keyword
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click

from flows.cli.output import say_error
from storage.errors import MemdubError, RequestError

__all__ = ["main"]

# Command -> module that holds it. Nothing is imported until it is asked for: `status` is instant.
COMMANDS = {
    "demo": "flows.cli.demo",
    "ingest": "flows.cli.ingest",
    "extract": "flows.cli.extract",
    "remember": "flows.cli.remember",
    "train": "flows.cli.train",
    "import": "flows.cli.imports",
    "dub": "flows.cli.dub",
    "verify": "flows.cli.verify",
    "evaluate": "flows.cli.evaluate",
    "study": "flows.cli.study",
    "puppet": "flows.cli.puppet",
    "refresh": "flows.cli.refresh",
    "plan": "flows.cli.plan",
    "retry": "flows.cli.retry",
    "backfill": "flows.cli.backfill",
    "serve": "flows.cli.serve",
    "status": "flows.cli.status",
    "query": "flows.cli.query",
    "lineage": "flows.cli.look",
    "gallery": "flows.cli.gallery",
    "export": "flows.cli.export",
    "gc": "flows.cli.clean",
    "train-acoustic": "flows.cli.train_acoustic",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name])
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(module, f"{name}_" if keyword.iskeyword(name) else name)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="memdub")
def cli() -> None:
    """Dub talking-head video, and trace every file back to its source.

    Everything lives under MEMDUB_HOME (default ./data).
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits with its status."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Under nohup the hang-up is ignored, and stays so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if arguments is not None:
        sys.exit(_flushed(_run(list(arguments) or ["--help"])))
    # Of what an interrupted process leaves behind, Python's tracker complains as it removes it.
    os.environ.setdefault("PYTHONWARNINGS", "ignore::UserWarning:multiprocessing.resource_tracker")
    _leave(_flushed(_run(sys.argv[1:] or ["--help"])))


def _leave(status: int) -> NoReturn:
    """Ends the process as Python would, but for taking the interpreter apart.

    A thread of Arrow's or DuckDB's that comes back to Python at that very moment is killed by CPython up to
    3.13, and C++ then aborts the whole process: a command that succeeded would have failed.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status)


def _run(arguments: list[str]) -> int:
    as_json = "--json" in arguments
    try:
        return int(cli.main(args=arguments, prog_name="memdub", standalone_mode=False) or 0)
    except MemdubError as error:
        return say_error(error, as_json=as_json)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "memdub"
        wrong = RequestError(error.format_message().rstrip(".?"), do=f"see {command} --help")
        return say_error(wrong, as_json=as_json)
    except (click.Abort, KeyboardInterrupt):
        say_error(MemdubError("interrupted", do="run the same command again to go on"), as_json=as_json)
        return 130
    except BrokenPipeError:
        _discard_output()
        return 1
    except Exception as error:
        if os.environ.get("MEMDUB_TRACEBACK"):
            traceback.print_exc()
        what = f"unexpected {type(error).__name__}: {error}"
        return say_error(
            MemdubError(what, do="report it, with what MEMDUB_TRACEBACK=1 prints"), as_json=as_json
        )


def _flushed(status: int) -> int:
    """The status, or 1 where the results could not be written after all."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        _discard_output()
        return status or 1
    return status


def _discard_output() -> None:
    """What is still to be written goes nowhere: Python would try again as it ends, and complain."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt
