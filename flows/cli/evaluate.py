"""`memdub evaluate`: methods held against the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.cli.output import json_option, note, print_json, say, table, watching

if TYPE_CHECKING:
    from flows.evaluate import Evaluated

__all__ = ["evaluate", "method_names", "tell_scores"]

_METHODS = "nearest,memface"
_CLIP = "A clip to score on, or all; may be repeated. Default: the longest that speaks."
_SPEECH = "Speech of somebody else, or in another language; may be repeated. There is no truth of it."


@click.command()
@click.argument("identity", metavar="NAME")
@click.option(
    "--methods", default=_METHODS, show_default=True, help="Which, with commas between them; or all."
)
@click.option("--preset", default="cpu", show_default=True, help="smoke, cpu or gpu.")
@click.option("--clip", "clips", metavar="CLIP", multiple=True, help=_CLIP)
@click.option("--speech", metavar="FILE", multiple=True, type=click.Path(path_type=Path), help=_SPEECH)
@click.option(
    "--html", metavar="FOLDER", type=click.Path(path_type=Path), help="Write a page with its films."
)
@json_option
def evaluate(
    identity: str,
    methods: str,
    preset: str,
    clips: tuple[str, ...],
    speech: tuple[Path, ...],
    html: Path | None,
    as_json: bool,
) -> None:
    """Hold methods against the truth, on seconds of NAME that none was trained on.

    Each dubs a clip of NAME over itself, with its own sound and with that of two seconds earlier; what is
    missing before it is made first. Scored are the frames at the end that training held back; it used them
    for nothing but to keep its best state. opening: correlation of the lips' gap with the true one. LMD: mean
    distance of lip landmarks over that of the eyes. PSNR, SSIM, sharp: of the mouth. in sync: by our expert.
    With a wrong sound, opening should be near 0. seen: frames with a face. More figures, bounds and tests are
    in --json, in the page and in the ledger's metrics.
    """
    from flows.evaluate import evaluate as evaluate_flow
    from flows.evaluate import require_folder
    from storage.home import Home

    if html is not None:
        require_folder(html)
    asked = {"methods": method_names(methods), "preset": preset, "clips": clips, "speech": speech}
    done = evaluate_flow(identity, **asked, watch=watching, tell=note)
    page = None if html is None else done.write_page(Home(), html)
    if as_json:
        told = done.as_dict()
        told["evaluations"][0]["page"] = None if page is None else str(page)
        print_json(told)
        return
    tell_scores(done)
    if page is not None:
        note(f"A page to look at: {page}")


def method_names(told: str) -> list[str]:
    """Names with commas between them; `all` are those that there are."""
    from flows.evaluate import every

    names = [name.strip() for name in told.split(",") if name.strip()]
    return every() if names == ["all"] else names


def tell_scores(done: Evaluated) -> None:
    """What was scored, a row a method, and what is to be known of it."""
    for line in done.lines():
        say(line)
    rows = done.rows()
    table(list(rows[0]), [list(row.values()) for row in rows], right=tuple(range(1, len(rows[0]))))
    for line in done.told["notes"]:
        say(f"  note: {line}")
    say(f"mouths{'' if done.driven else ', the truth above'}: {done.sheet}")
