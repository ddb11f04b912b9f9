"""`memdub train-acoustic`: the embedded acoustic network, trained again from nothing."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.output import duration, json_option, note, print_json, say, size, watching

__all__ = ["train_acoustic"]


@click.command(name="train-acoustic")
@click.option("--preset", default="full", show_default=True, help="full, or smoke to see that it works.")
@click.option("--hours", type=float, help="Hours of speech to synthesize, if not the preset's.")
@click.option("--steps", type=int, help="Steps to train, if not the preset's.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Where chance begins.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The weights' file; without it, weights/acoustic.safetensors of the home, which is then used.",
)
@json_option
def train_acoustic(
    preset: str, hours: float | None, steps: int | None, seed: int, output: Path | None, as_json: bool
) -> None:
    """Train the network that turns speech into features, on speech made by synthesizers.

    espeak-ng comes along; flite and festival are used where they are installed, and make it better.
    """
    from flows.train_acoustic import train_acoustic as train_flow

    made = train_flow(
        preset=preset, hours=hours, steps=steps, seed=seed, output=output, watch=watching, tell=note
    )
    if as_json:
        print_json(made.as_dict())
        return
    say(f"{made.weights.file}  {size(made.weights.bytes)}, trained in {duration(made.seconds)}")
