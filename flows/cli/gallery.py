"""`memdub gallery`: the whole ledger as pages to look at."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.output import json_option, note, print_json, say
from storage.home import Home
from storage.text import check_text

__all__ = ["gallery"]


@click.command()
@click.argument("out", required=False, type=click.Path(path_type=Path))
@json_option
def gallery(out: Path | None, as_json: bool) -> None:
    """Everybody, every dub and every evaluation as pages, in the folder OUT (default: out/gallery).

    They open from a disk and need no network. Films are copied there where consent allows it; what an earlier
    gallery had, and may no longer be shown, is removed.
    """
    from flows.site import build

    if out is not None:
        check_text(str(out), "OUT")
    site = build(Home(), out, tell=note)
    if as_json:
        print_json(site.as_dict())
        return
    say(site.line())
