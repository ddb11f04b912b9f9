"""`memdub plan`: what would run, and for how long."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.output import duration, json_option, note, print_json, say, table
from flows.inventory import CLIP_STAGES
from flows.planning import FLOWS, Plan, Step
from flows.planning import plan as plan_flow

__all__ = ["plan"]

COLUMNS = ("ingest", *CLIP_STAGES)


@click.command()
@click.argument("words", nargs=-1, metavar="[FLOW] [NAME]...")
@click.option("--method", default="memface", show_default=True, help="Of train and dub.")
@click.option("--preset", default="cpu", show_default=True, help="Of train and dub.")
@click.option("--audio", type=click.Path(path_type=Path), help="Of dub; else the newest in raw/NAME/speech/.")
@click.option("--all", "everything", is_flag=True, help="Also say which clips are done.")
@json_option
def plan(
    words: tuple[str, ...], method: str, preset: str, audio: Path | None, everything: bool, as_json: bool
) -> None:
    """Say what would run, and for how many minutes.

    Every stage of every clip: done, to run, failed or blocked; minutes are medians of past runs. Nothing is
    written.

    FLOW is refresh (without any), ingest, extract, remember, train or dub; NAME is whom; everyone, without
    any.
    """
    named = words[0] if words and words[0] in FLOWS else None
    flow, identities = named or "refresh", words[1:] if named else words
    found = plan_flow(flow, identities, method=method, preset=preset, audio=audio)
    if as_json:
        print_json(found.as_dict())
        return
    _tell(found, everything)


def _tell(found: Plan, everything: bool) -> None:
    clips: dict[tuple[str, str], list[Step]] = {}
    for one in found.steps:
        if one.stage in COLUMNS:
            clips.setdefault((one.identity, one.subject), []).append(one)
    shown = [steps for steps in clips.values() if everything or any(one.state != "done" for one in steps)]
    stages = [name for name in COLUMNS if any(one.stage == name for steps in shown for one in steps)]
    if shown:
        table(["identity", "file", *stages, "expected", "why"], [_row(steps, stages) for steps in shown])
    if len(clips) > len(shown):
        say(f"{len(clips) - len(shown)} clips are done (--all names them)")
    rest = [one for one in found.steps if one.stage not in COLUMNS]
    if rest:
        say()
        rows = [
            [one.identity, one.stage, one.subject, one.state, _minutes(one.minutes), one.why] for one in rest
        ]
        table(["identity", "stage", "of", "state", "expected", "why"], rows)
    say()
    if found.stops is not None:
        say(f"would stop: {found.stops}")
    say(_sum(found))
    note("nothing was written")


def _row(steps: list[Step], stages: list[str]) -> list[object]:
    """A clip, or a file that is none yet."""
    states = {one.stage: one.state for one in steps}
    minutes = sum(one.minutes or 0.0 for one in steps if one.state == "to run")
    why = next((one.why for one in steps if one.why), None)
    return [steps[0].identity, steps[0].file, *(states.get(name) for name in stages), _minutes(minutes), why]


def _sum(found: Plan) -> str:
    counts = ", ".join(f"{found.count(state)} {state}" for state in ("done", "to run", "failed", "blocked"))
    if not found.count("to run"):
        return f"{counts}; nothing to do"
    known = any(one.minutes for one in found.steps if one.state == "to run")
    told = f"about {duration(60 * found.minutes)} of work, by the median of past runs" if known else ""
    unknown = f"no past run tells how long these take: {', '.join(found.unknown)}" if found.unknown else ""
    return "; ".join(filter(None, (counts, told, unknown)))


def _minutes(minutes: float | None) -> str | None:
    return None if not minutes else duration(60 * minutes)
