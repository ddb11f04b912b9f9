"""`memdub extract`: clips in, features out."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click

from flows.cli.output import conclude, json_option, note, print_json, say, table, watching
from storage.ledger import Ledger
from tasks.chain import FACES, SPEECH, TRACKERS, ExtractOptions

if TYPE_CHECKING:
    from flows.extract import Outcome

__all__ = ["extract"]


@click.command()
@click.argument("identities", nargs=-1, metavar="[NAME]...")
@click.option("--workers", type=click.IntRange(0, 512), help="Processes; default: one a core; 0: no others.")
@click.option("--dask-address", help="A Dask scheduler to use instead, as tcp://127.0.0.1:8786.")
@click.option("--cluster", help="A cluster to use instead: a YAML file, see infra/clusters.")
@click.option("--speech", type=click.Choice(SPEECH), default="embedded", help="Acoustic network.")
@click.option("--tracker", type=click.Choice(TRACKERS), default="mesh", help="MediaPipe's mesh or its task.")
@click.option("--face", default="auto", help=f"Whom to follow: {', '.join(FACES)}, or a number from 0.")
@click.option("--model", default="builtin", help="Morphable model: builtin, ict:FILE or bfm:FILE.")
@click.option("--offset", type=float, help="Frames by which the sound is late; default: as measured.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many clips that are not done.")
@click.option("--report", is_flag=True, help="Say all about each clip, and what each method lacks.")
@click.option("--dry-run", is_flag=True, help="Only say what would run.")
@json_option
def extract(
    identities: tuple[str, ...],
    workers: int | None,
    dask_address: str | None,
    cluster: str | None,
    speech: str,
    tracker: str,
    face: str,
    model: str,
    offset: float | None,
    limit: int | None,
    report: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Turn clips into features: speech, face, morphable model, sound and picture in step.

    NAME is whom to extract; everyone with consent, without any. What is done already is not done again,
    and what was interrupted goes on where it was.
    """
    from flows.extract import extract as extract_flow

    options = ExtractOptions(speech, tracker, face, model, offset)
    if dry_run:
        _plan(identities, options, limit, as_json)
        return
    result = extract_flow(
        identities,
        options=options,
        workers=workers,
        dask_address=dask_address,
        cluster=cluster,
        limit=limit,
        watch=watching,
        tell=note,
        finished=None if as_json else functools.partial(_tell, report),
    )
    conclude(result, lambda: None, as_json=as_json)


def _tell(report: bool, outcome: Outcome) -> None:
    say(outcome.line())
    for line in outcome.report if report else ():
        say(f"  {line}")


def _plan(identities: tuple[str, ...], options: ExtractOptions, limit: int | None, as_json: bool) -> None:
    from flows.extract import plan

    home, _, planned = plan(identities, options=options, limit=limit)
    ledger = Ledger(home.objects)
    todo = [(one, [recipe.kind for recipe in one.to_run(home, ledger)]) for one in planned]
    if as_json:
        print_json({"clips": [{"id": one.clip.id, "to_run": kinds} for one, kinds in todo]})
        return
    rows = [
        [one.clip.id, one.row["identity"], one.row["source_name"], ", ".join(kinds) or "done"]
        for one, kinds in todo
    ]
    table(["clip", "identity", "source", "to run"], rows)
