"""`memdub remember`: features in, an explicit memory out."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.output import json_option, note, print_json, say

__all__ = ["remember"]


@click.command()
@click.argument("identity", metavar="NAME")
@click.option(
    "--slots", type=click.IntRange(2, 10_000), default=300, show_default=True, help="Mouths to keep."
)
@click.option("--html", "page", type=click.Path(path_type=Path), help="A page that shows them, here.")
@json_option
def remember(identity: str, slots: int, page: Path | None, as_json: bool) -> None:
    """Remember the mouths of NAME: those of all extracted frames that differ the most.

    Methods look up what lips, teeth and skin look like in a wanted position.
    """
    from flows.remember import remember as remember_flow

    kept = remember_flow(identity, slots=slots, page=page)
    if as_json:
        print_json(kept.as_dict())
        return
    say(kept.line())
    if kept.page is not None:
        note(f"to look at: {kept.page}")
