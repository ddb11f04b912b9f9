"""`memdub puppet`: footage of somebody who does not exist, with the truth of every frame."""

from __future__ import annotations

import click

from flows.cli.output import duration, json_option, note, print_json, say, watching

__all__ = ["puppet"]


@click.command()
@click.argument("identity")
@click.option("--text", help="What to say; without it, a paragraph of ours.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Who it is.")
@click.option("--language", default="en-us", show_default=True, help="Any language of espeak-ng.")
@click.option("--size", type=click.IntRange(64, 1024), default=256, show_default=True, help="Side in pixels.")
@json_option
def puppet(identity: str, text: str | None, seed: int, language: str, size: int, as_json: bool) -> None:
    """Film a puppet as IDENTITY and ingest it: a video whose every pose, lip and blink is known.

    The truth lies beside the video as Parquet. Good for trying memdub out, for tests and for training.
    """
    from flows.puppet import puppet as puppet_flow
    from tasks.film import Script
    from tasks.puppet import text_in

    made = puppet_flow(
        identity,
        Script(seed, text_in(language) if text is None else text, language, size),
        watch=watching,
        tell=note,
    )
    if as_json:
        print_json(made.as_dict())
        return
    how = "already there" if made.puppet.reused else f"filmed in {duration(made.puppet.row['seconds'])}"
    say(f"{made.puppet.id}  {made.video} ({how})")
    say(f"{made.clip.id}  ingested")
    note(f"the truth of every frame: {made.truth}")
