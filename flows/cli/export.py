"""`memdub export`: features for other people's tools."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.output import json_option, print_json, say
from storage.text import check_text

__all__ = ["export"]


@click.command()
@click.argument("clip")
@click.argument("dest", type=click.Path(path_type=Path))
@click.option("--to", "form", type=click.Choice(("openface", "deng")), required=True, help="Whose format.")
@click.option(
    "--layout",
    type=click.Choice(("full", "2d")),
    help="OpenFace's columns: all (as without this), or those of -2Dfp, which DINet reads.",
)
@click.option("--spaced", is_flag=True, help="OpenFace: a blank after each comma, which FACIAL reads.")
@json_option
def export(clip: str, dest: Path, form: str, layout: str | None, spaced: bool, as_json: bool) -> None:
    """Write a clip's features to DEST for other tools: OpenFace's CSV, or Deng's .mat.

    CLIP is the beginning of the id of a clip or of features. For Deng, a DEST that does not end in .mat
    becomes a folder with a file a frame.
    """
    from flows.export import export as export_flow

    done = export_flow(
        check_text(clip, "CLIP"),
        form,
        check_text(str(dest), "DEST"),
        layout=layout,
        spaced=spaced,
    )
    if as_json:
        print_json(done.as_dict())
    else:
        say(f"{done.path}: {done.form}, of {done.features} ({done.clip})")
