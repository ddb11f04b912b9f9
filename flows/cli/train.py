"""`memdub train`: a person's checkpoints, trained here or prepared for another machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.cli.output import json_option, note, print_json, say, table, watching
from storage.errors import RequestError

if TYPE_CHECKING:
    from tasks.training import TrainOptions

__all__ = ["train"]


@click.command()
@click.argument("identity", metavar="NAME")
@click.option("--method", default="memface", show_default=True, help="The talking-face system.")
@click.option(
    "--preset", default="cpu", show_default=True, help="smoke, cpu (a laptop) or gpu (the paper's)."
)
@click.option("--stage", help="Only this stage of the method.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="At most so much to train on.")
@click.option("--held-out", type=float, default=0.2, show_default=True, help="Last share of every clip.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Where chance begins.")
@click.option("--steps", type=click.IntRange(min=1), help="Steps of a stage, if not the preset's.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option("--processes", type=click.IntRange(1, 64), default=1, help="So many GPUs share a batch.")
@click.option("--where", metavar="POOL", help="Train in this Prefect work pool, and wait for it.")
@click.option("--limit-minutes", type=click.FloatRange(min=0), help="Pause after so long.")
@click.option(
    "--export-bundle",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Train nothing; write what another machine needs to.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would run.")
@json_option
def train(
    identity: str,
    method: str,
    preset: str,
    stage: str | None,
    seconds: float | None,
    held_out: float,
    seed: int,
    steps: int | None,
    device: str,
    processes: int,
    where: str | None,
    limit_minutes: float | None,
    export_bundle: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train a method on a person's features.

    What is missing before it is made first. What was interrupted goes on where it was; what is trained is
    not trained again. A bundle is trained elsewhere by `python -m models.train FILE`, and comes back by
    `memdub import`.
    """
    from tasks.material import Cut
    from tasks.training import TrainOptions

    plan = {} if steps is None else {"steps": steps}
    options = TrainOptions(method, preset, Cut(held_out, seconds), seed, stage, plan)
    if dry_run:
        _plan(identity, options, as_json)
    elif export_bundle is not None:
        _export(identity, options, export_bundle, as_json)
    else:
        if where is not None and limit_minutes is not None:
            what = "a work pool is waited for until it has finished"
            raise RequestError(what, where=f"--where {where}", do="leave out --limit-minutes")
        how = {"device": device, "processes": processes, "where": where, "limit_minutes": limit_minutes}
        _train(identity, options, how, as_json)


def _plan(identity: str, options: TrainOptions, as_json: bool) -> None:
    from flows.train import plan

    planned = plan(identity, options)
    if as_json:
        print_json({"stages": [one.__dict__ for one in planned]})
        return
    rows = [[one.stage, one.recipe or None, "done" if one.done else "to run"] for one in planned]
    table(["stage", "artifact", "state"], rows)


def _export(identity: str, options: TrainOptions, file: Path, as_json: bool) -> None:
    from flows.train import export_bundles

    made = export_bundles(identity, options, file, watch=watching, tell=note)
    if as_json:
        print_json(made.as_dict())
        return
    for stage, path in made.files.items():
        say(f"{path}  {stage}: train it with `python -m models.train {path}`")


def _train(identity: str, options: TrainOptions, how: dict[str, Any], as_json: bool) -> None:
    from flows.train import train as train_flow

    made = train_flow(identity, options, **how, watch=watching, tell=note)
    if as_json:
        print_json(made.as_dict())
        return
    for one in made.outcomes:
        say(one.line())
    if not made.outcomes and made.halted is None:
        say(f"nothing to train: {options.method} has no stage of a person's own")
    if made.halted is not None:
        at = f"after step {made.halted.step} of {made.halted.steps}"
        say(f"{made.halted.stage}: paused {at}; run the same command again to go on")
