"""`memdub dub`: a person and a sound file in, a film out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.cli.output import json_option, note, print_json, say, table, watching

if TYPE_CHECKING:
    from tasks.dubbing.stage import DubOptions

__all__ = ["dub"]

# As `tasks.dubbing.stage` has them, which is slow to import.
POSES = ("generated", "template")


@click.command()
@click.argument("identity", metavar="NAME")
@click.argument("audio", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="An MP4; default: in the home, under out/."
)
@click.option("--method", default="memface", show_default=True, help="The talking-face system.")
@click.option("--preset", default="cpu", show_default=True, help="smoke, cpu or gpu.")
@click.option("--template", metavar="CLIP", help="The clip to dub over; default: the best for it.")
@click.option(
    "--pose",
    type=click.Choice(POSES),
    default=POSES[0],
    show_default=True,
    help="Whose head, of methods that move it: made from the speech, or as it was filmed.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Where chance begins.")
@click.option("--lossless", is_flag=True, help="Code pictures without loss.")
@click.option("--workers", type=click.IntRange(1, 64), help="Threads; default: one a core, four at most.")
@click.option("--where", metavar="POOL", help="The Prefect work pool that trains, where that is missing.")
@click.option("--dry-run", is_flag=True, help="Only say what would run.")
@json_option
def dub(
    identity: str,
    audio: Path,
    out: Path | None,
    method: str,
    preset: str,
    template: str | None,
    pose: str,
    seed: int,
    lossless: bool,
    workers: int | None,
    where: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Have NAME say what is said in AUDIO, any sound or video file.

    What is missing before it is made first: features, memory, training. What was interrupted goes on where
    it was. The film carries a signed manifest that says it is made by a model: see `memdub verify`.
    """
    from tasks.dubbing.stage import DubOptions

    options = DubOptions(method, preset, template, seed, lossless, pose=pose)
    if dry_run:
        _plan(identity, audio, options, as_json)
        return
    from flows.dub import dub as dub_flow

    how: dict[str, Any] = {"workers": workers or 0, "where": where}
    done = dub_flow(identity, audio, out, options=options, **how, watch=watching, tell=note)
    if as_json:
        print_json(done.as_dict())
        return
    say(done.line())
    for warning in done.warnings:
        say(f"  note: {warning}")


def _plan(identity: str, audio: Path, options: DubOptions, as_json: bool) -> None:
    from flows.dub import plan

    planned = plan(identity, audio, options=options)
    if as_json:
        print_json({"steps": [one.__dict__ for one in planned]})
        return
    table(["step", "state", ""], [[p.step, "done" if p.done else "to run", p.about] for p in planned])
