"""`memdub evaluate`: methods held against the truth."""

from __future__ import annotations

import click

from flows.cli.output import json_option, note, print_json, say, table, watching

__all__ = ["evaluate"]

_METHODS = "nearest,memface"


@click.command()
@click.argument("identity", metavar="NAME")
@click.option("--methods", default=_METHODS, show_default=True, help="Which, with commas between them.")
@click.option("--preset", default="cpu", show_default=True, help="smoke, cpu or gpu.")
@click.option("--clip", metavar="CLIP", help="The clip to score on; default: the longest that has features.")
@json_option
def evaluate(identity: str, methods: str, preset: str, clip: str | None, as_json: bool) -> None:
    """Hold methods against the truth, on seconds of NAME that none was trained on.

    Each dubs a clip of NAME over itself, with its own sound and with that of two seconds earlier; what is
    missing before it is made first. Scored are the frames at the end that training held back; it used them
    for nothing but to keep its best state. opening: correlation of the lips' gap with the true one. late:
    frames by which that is highest. lips: mean distance of lip landmarks over that of the eyes. PSNR: of a
    box around the mouth. With a wrong sound, opening should be near 0. seen: frames with a face.
    """
    from flows.evaluate import evaluate as evaluate_flow

    names = [name.strip() for name in methods.split(",") if name.strip()]
    done = evaluate_flow(identity, methods=names, preset=preset, clip=clip, watch=watching, tell=note)
    if as_json:
        print_json(done.as_dict())
        return
    say(done.line())
    rows = done.rows()
    table(list(rows[0]), [list(row.values()) for row in rows], right=tuple(range(1, len(rows[0]))))
    for line in done.told["notes"]:
        say(f"  note: {line}")
    say(f"mouths, the truth's above: {done.sheet}")
