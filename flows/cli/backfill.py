"""`memdub backfill`: a stage, done again by the version that there is now."""

from __future__ import annotations

import click

from flows.backfill import Backfilled
from flows.backfill import backfill as backfill_flow
from flows.cli.output import conclude, json_option, note, say, table, watching

__all__ = ["backfill"]


@click.command()
@click.argument("identities", nargs=-1, metavar="[NAME]...")
@click.option("--stage", required=True, help="ingest, faces, track, audio, fit, features, remember or train.")
@click.option("--since", required=True, metavar="VERSION|DATE", help="Made by it, or then, or later.")
@click.option("--workers", type=click.IntRange(1, 512), help="Processes that extract; default: one a core.")
@click.option("--dask-address", help="A Dask scheduler to use instead, as tcp://127.0.0.1:8786.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done again.")
@json_option
def backfill(
    identities: tuple[str, ...],
    stage: str,
    since: str,
    workers: int | None,
    dask_address: str | None,
    limit: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Do a stage again where an outdated version did it.

    What there is stays: the new result is another artifact beside it, and what is made of it follows.

    NAME is of whom; of everyone with consent, without any.
    """
    how = {"workers": workers, "dask_address": dask_address, "limit": limit, "dry_run": dry_run}
    result = backfill_flow(stage, since, identities, **how, watch=watching, tell=note)  # type: ignore[arg-type]
    conclude(result, lambda: _tell(result), as_json=as_json)


def _tell(result: Backfilled) -> None:
    if not result.redos:
        say(result.line())
        return
    rows = [
        [one.identity, one.subject, one.artifact, one.version, one.made, one.became, one.why]
        for one in result.redos
    ]
    table(["identity", "of", "made", "by version", "at", "now", "why"], rows, right=(3,))
    if result.dry_run:
        note("dry run: nothing was done")
