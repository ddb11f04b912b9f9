"""`memdub study`: which system people prefer, without their knowing which is which."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.cli.output import json_option, note, print_json, say, table

if TYPE_CHECKING:
    from tasks.study import Scores

__all__ = ["study"]

_FILE = click.Path(path_type=Path)


@click.group()
def study() -> None:
    """Have people compare dubs without knowing who made which, and score what they say."""


@study.command("make")
@click.argument("names", metavar="DUB_OR_EVALUATION...", nargs=-1, required=True)
@click.option("-o", "--out", required=True, type=_FILE, metavar="DEST", help="A folder that is made.")
@click.option("--question", help="What raters are asked. [default: where lips and speech go together better]")
@click.option("--truth", is_flag=True, help="Show the filmed clip too, where an evaluation knows it.")
@click.option("--seed", default=0, show_default=True, help="Of the films' names, and of order and sides.")
@json_option
def make_command(
    names: tuple[str, ...], out: Path, question: str | None, truth: bool, seed: int, as_json: bool
) -> None:
    """Write a page to DEST/page that shows films two at a time: give that folder to raters.

    Dubs of one template and speech are compared, each pair once. Which is which stands in DEST/key.json,
    which stays with you. Raters send back the file that the page saves.
    """
    from flows.study import QUESTION, make

    made = make(names, out, question=question or QUESTION, seed=seed, truth=truth)
    if as_json:
        print_json(made.as_dict())
        return
    say(f"{made.page}: {made.pairs} pairs of {made.items} items, by {', '.join(made.systems)}")
    note(f"give raters {made.page.parent}; keep {made.key} to yourself")


@study.command("score")
@click.argument("folder", type=_FILE, metavar="DEST")
@click.argument("answers", type=_FILE, nargs=-1, required=True)
@click.option("--seed", default=0, show_default=True, help="Of the intervals' bootstrap.")
@json_option
def score_command(folder: Path, answers: tuple[Path, ...], seed: int, as_json: bool) -> None:
    """Score ANSWERS, the files that raters saved, by Bradley and Terry's model.

    strength: log odds of being preferred to the mean of all. A tie is half a win for both. Intervals hold
    95 % of a bootstrap over raters and items.
    """
    from flows.study import score

    told = score(folder, answers, seed=seed)
    if as_json:
        systems, pairs = ([one._asdict() for one in rows] for rows in (told.systems, told.pairs))
        counts = {"answers": told.answers, "raters": told.raters, "items": told.items, "level": told.level}
        print_json({**counts, "systems": systems, "pairs": pairs})
        return
    _tell(told)


def _tell(told: Scores) -> None:
    columns = ["system", "strength", "low", "high", "wins", "losses", "ties"]
    table(columns, [list(one) for one in told.systems], right=tuple(range(1, 7)))
    say()
    columns = ["preferred", "to", "chance", "low", "high", "wins", "losses", "ties"]
    table(columns, [list(one) for one in told.pairs], right=tuple(range(2, 8)))
    note(f"{told.answers} answers of {told.raters} raters to {told.items} items")
