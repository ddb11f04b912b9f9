"""`memdub demo`: the whole pipeline on somebody who does not exist."""

from __future__ import annotations

import click

from flows.cli.output import duration, json_option, note, print_json, say, watching
from storage.artifacts import Artifact

__all__ = ["demo"]


@click.command()
@click.option("--preset", default="cpu", show_default=True, help="smoke (to see that it works), cpu, gpu.")
@click.option("--methods", help="Also hold these side by side, with commas between them; or all.")
@json_option
def demo(preset: str, methods: str | None, as_json: bool) -> None:
    """The whole pipeline on an embedded sample identity, and a page to look at.

    Films a puppet, ingests and extracts the footage, remembers its mouths, trains, and dubs a sentence
    that is not in the footage; then watches the dub beside the truth. That takes some minutes on a
    laptop, and all methods side by side several times as long.
    """
    from flows.cli.evaluate import method_names, tell_scores
    from flows.cli.look import tell_lineage
    from flows.demo import demo as demo_flow

    done = demo_flow(preset=preset, methods=method_names(methods or ""), watch=watching, tell=note)
    if as_json:
        print_json(done.as_dict())
        return
    steps = [("filmed", done.filmed.puppet), ("ingested", done.filmed.clip), ("remembered", done.memory)]
    steps += [(f"trained {one.stage}", one.checkpoint) for one in done.trained]
    for name, artifact in (*steps, ("dubbed", done.dubbed.dub)):
        say(f"{name}: {artifact.id} ({_how(artifact)})")
    say(
        f"the dub's lips follow the truth's with a correlation of {done.seen['lip_correlation']:.2f}, "
        f"{done.seen['lips_late_frames']:.0f} frames apart"
    )
    say("\nWhere the dub came from:")
    tell_lineage(done.tree)
    say()
    if done.compared is not None:
        tell_scores(done.compared)
        say()
    note(f"The dub: {done.dubbed.path}")
    note(f"A page to look at: {done.page}")
    note("Your own footage next: memdub ingest VIDEO --identity NAME --consent FILE")


def _how(made: Artifact) -> str:
    return "already there" if made.reused else duration(made.row["seconds"])
