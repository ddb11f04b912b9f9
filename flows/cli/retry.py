"""`memdub retry`: what failed, once more."""

from __future__ import annotations

import click

from flows.cli.output import conclude, json_option, note, say, table, watching
from flows.retry import Retried
from flows.retry import retry as retry_flow
from storage.errors import RequestError

__all__ = ["retry"]


@click.command()
@click.argument("identities", nargs=-1, metavar="[NAME]...")
@click.option("--failed", is_flag=True, help="What failed and has not succeeded since.")
@click.option("--workers", type=click.IntRange(1, 512), help="Processes that extract; default: one a core.")
@click.option("--dask-address", help="A Dask scheduler to use instead, as tcp://127.0.0.1:8786.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
@click.option("--dry-run", is_flag=True, help="Only say what would be tried, and why it failed.")
@json_option
def retry(
    identities: tuple[str, ...],
    failed: bool,
    workers: int | None,
    dask_address: str | None,
    limit: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Try again what failed, and only that.

    Each is tried as it was asked for then; what has succeeded since is not tried.

    NAME is of whom; of everyone, without any.
    """
    if not failed:
        raise RequestError("nothing was named to try again", where="retry", do="add --failed")
    how = {"workers": workers, "dask_address": dask_address, "limit": limit, "dry_run": dry_run}
    result = retry_flow(identities, **how, watch=watching, tell=note)  # type: ignore[arg-type]
    conclude(result, lambda: _tell(result), as_json=as_json)


def _tell(result: Retried) -> None:
    if not result.trials:
        say("Nothing failed that has not succeeded since.")
        return
    rows = [
        [one.stage, one.identity, one.subject, one.attempt, one.became, one.why or one.reason]
        for one in result.trials
    ]
    table(["stage", "identity", "of", "tried", "now", "why"], rows, right=(3,))
    if result.dry_run:
        note("dry run: nothing was tried")
    else:
        done = sum(one.became == "done" for one in result.trials)
        note(f"{done} of {len(result.trials)} done")
