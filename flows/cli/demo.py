"""`memdub demo`: the whole pipeline on somebody who does not exist."""

from __future__ import annotations

import click

from flows.cli.output import duration, json_option, note, print_json, say, watching
from storage.artifacts import Artifact

__all__ = ["demo"]


@click.command()
@json_option
def demo(as_json: bool) -> None:
    """The whole pipeline on an embedded sample identity, and a page to look at.

    Films a puppet, ingests the footage, shows what is in the home and where the clip came from.
    """
    from flows.cli.look import tell_lineage, tell_status
    from flows.demo import demo as demo_flow
    from flows.status import survey
    from storage.home import Home

    done = demo_flow(watch=watching, tell=note)
    if as_json:
        print_json(done.as_dict())
        return
    made = done.filmed
    say(f"Filmed a puppet who says three sentences ({_how(made.puppet)})")
    say(f"  {made.video}")
    say(f"Ingested it as {made.clip.id} ({_how(made.clip)})")
    say()
    tell_status(survey(Home()))
    say("\nWhere the clip came from:")
    tell_lineage(done.tree)
    say()
    note(f"A page to look at: {done.page}")
    note("Your own footage next: memdub ingest VIDEO --identity NAME --consent FILE")


def _how(made: Artifact) -> str:
    return "already there" if made.reused else duration(made.row["seconds"])
