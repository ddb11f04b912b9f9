"""`memdub import`: a checkpoint that another machine trained, back into the ledger."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.output import json_option, print_json, say

__all__ = ["import_"]


@click.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def import_(file: Path, as_json: bool) -> None:
    """Take back what was trained elsewhere from an exported bundle.

    FILE is the checkpoint.safetensors that `python -m models.train BUNDLE` wrote. What it was made of must
    be in this home.
    """
    from flows.imports import import_file

    made = import_file(file)
    if as_json:
        print_json(made.as_dict())
        return
    say(made.line())
