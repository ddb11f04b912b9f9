"""`memdub gc`: removing what nothing reaches, after showing it."""

from __future__ import annotations

import click

from flows.cli.output import json_option, note, print_json, size, table
from storage import garbage
from storage.home import Home

__all__ = ["gc"]


@click.command()
@click.option("--yes", is_flag=True, help="Remove it. Without this, only show what would go.")
@json_option
def gc(yes: bool, as_json: bool) -> None:
    """Remove artifacts that nothing reaches, and what killed runs left behind.

    An artifact stays if it is the newest of its kind from its sources, a dub, or if something that stays
    was made from it.
    """
    home = Home()
    found = garbage.find(home)
    if not as_json:
        rows = [[row["id"], row["kind"], row["identity"], size(row["bytes"])] for row in found.artifacts]
        rows += [[path.name, "leftover", None, ""] for path in found.leftovers]
        if rows:
            table(["what", "kind", "identity", "size"], rows)
    if yes:
        garbage.collect(home, found)
    if as_json:
        print_json({"removed" if yes else "would_remove": found.as_dict()})
    elif not found.artifacts and not found.leftovers:
        note("nothing to remove")
    else:
        note(f"{size(found.bytes)} {'removed' if yes else 'would go; add --yes to remove it'}")
