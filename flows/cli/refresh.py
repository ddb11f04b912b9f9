"""`memdub refresh`: everything that is made of raw/, brought up to date."""

from __future__ import annotations

import sys
from typing import Any

import click

from flows.cli.output import conclude, duration, json_option, note, say, table, watching
from flows.refresh import Refreshed, Shrinks
from flows.refresh import refresh as refresh_flow

__all__ = ["refresh", "tell_refreshed"]

COLUMNS = {
    "identity": "identity",
    "files": "files",
    "unchanged": "as they were",
    "taken": "taken",
    "returned": "back",
    "retired": "retired",
    "quarantined": "quarantined",
    "waiting": "left",
    "clips": "clips",
    "extracted": "extracted",
    "remembered": "remembered",
    "trained": "trained",
}


@click.command()
@click.argument("identities", nargs=-1, metavar="[NAME]...")
@click.option("--workers", type=click.IntRange(1, 512), help="Processes that extract; default: one a core.")
@click.option("--dask-address", help="A Dask scheduler to use instead, as tcp://127.0.0.1:8786.")
@click.option("--cluster", metavar="FILE", help="A YAML file that describes a Dask cluster to use instead.")
@click.option(
    "--retrain-at",
    type=click.FloatRange(min=0),
    default=0.2,
    show_default=True,
    help="Share of the footage that must have changed.",
)
@click.option("--train", multiple=True, metavar="METHOD[:PRESET]", help="Train this too if it never was.")
@click.option("--allow-shrink", is_flag=True, help="Retire more than a fifth of the clips, if they are gone.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many files, and so many extractions.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@json_option
def refresh(
    identities: tuple[str, ...],
    workers: int | None,
    dask_address: str | None,
    cluster: str | None,
    retrain_at: float,
    train: tuple[str, ...],
    allow_shrink: bool,
    limit: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Bring everything that is made of raw/ up to date.

    What is new is taken, what is done is left, what is gone is retired, and methods are trained again where
    enough has changed.

    NAME is whose folder to look at; everyone's, without any. A bad file is put aside with its reason and
    not tried again before it changes; a file that is still being copied is left for the next time.
    """
    how: dict[str, Any] = {
        "workers": workers,
        "dask_address": dask_address,
        "cluster": cluster,
        "retrain_at": retrain_at,
        "train": train,
        "limit": limit,
        "dry_run": dry_run,
        "watch": watching,
        "tell": note,
    }
    try:
        result = refresh_flow(identities, allow_shrink=allow_shrink, **how)
    except Shrinks as error:
        if as_json or not _may_ask():
            raise
        note(f"memdub: {error}")
        if not click.confirm("Retire them?", err=True):
            raise
        result = refresh_flow(identities, allow_shrink=True, **how)
    conclude(result, lambda: tell_refreshed(result), as_json=as_json)


def _may_ask() -> bool:
    """Whether somebody is there who can answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def tell_refreshed(result: Refreshed) -> None:
    """The table, what is not as it was, and where things are."""
    people = [one for one in result.people if one.blocked is None]
    if people:
        rows = [[getattr(one, name) for name in COLUMNS] for one in people]
        table(list(COLUMNS.values()), rows, right=tuple(range(1, len(COLUMNS))))
    blocked = [[one.identity, one.blocked] for one in result.people if one.blocked is not None]
    if blocked:
        say()
        table(["blocked", "why"], blocked)
    if result.files:
        say()
        rows = [[f"{one.identity}/{one.path}", one.became, one.clip, one.reason] for one in result.files]
        table(["file", "what", "clip", "why"], rows)
    for one in result.to_train:
        say(f"would train {one.identity} {one.subject}: {one.why}")
    if result.stops is not None:
        say(f"would stop: {result.stops}")
    if not result.people:
        say("Nobody is in raw/ yet: put footage into raw/NAME/ and a consent record into identities/NAME/")
    if result.dry_run:
        note(f"dry run of {duration(result.seconds)}: nothing was changed")
    elif result.is_idle:
        note(f"nothing to do, found in {duration(result.seconds)}")
    else:
        note(f"refreshed in {duration(result.seconds)}; the files are in {result.home}/stores")
