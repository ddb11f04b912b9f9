"""`memdub verify`: what a file is, and whether what it says of itself holds."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.output import json_option, print_json, say, say_error

__all__ = ["verify"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def verify(file: Path, as_json: bool) -> None:
    """Say what FILE is, by what recipe, from what, and whether signature and bytes hold.

    Exit status 0: they hold. 1: they do not, or it carries no manifest.
    """
    from flows.verify import verify as verify_flow

    found = verify_flow(file)
    error = found.error()
    if not as_json:
        for line in found.lines():
            say(line)
    elif error is None:
        print_json(found.as_dict())
    if error is not None:
        raise click.exceptions.Exit(say_error(error, as_json=as_json, content=found.as_dict()))
