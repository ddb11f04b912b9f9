"""All methods on one person's footage, held against the truth: the tables of BENCHMARKS.md.

    python -m tests.bench.side_by_side puppet HOME      `make demo METHODS=all`, in that home
    python -m tests.bench.side_by_side senator HOME     60 s of a real person: what is missing is done first
    python -m tests.bench.side_by_side obama HOME       24 s
    --speech FILE    what is said by somebody else instead, held against no truth

Does what `memdub evaluate NAME --methods all` does, after ingest; on real people after `memdub train NAME`
with every method, as DINet and SyncTalkFace leave it to choice whether they get used to a person. A second
call finds everything.
A figure that a test tells apart from the floor (`nearest`) is bold where it is better, and in brackets
where it is worse. The page with all films lies in HOME/out/side_by_side.
"""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flows.demo import IDENTITY, demo
from flows.evaluate import Evaluated, evaluate, every
from flows.extract import extract
from flows.ingest import ingest
from flows.train import train
from storage.home import Home
from storage.ledger import Ledger
from tasks.training import TrainOptions
from tests.bench.footage import real_footage
from tests.bench.renderer_people import RECORD

FILMS = {"senator": "senator_60s_256.mp4", "obama": "obama_weekly_20s.mp4"}
FLOOR, TOLD = "nearest", 0.05


def compared(who: str, home: Path, speech: list[Path]) -> Evaluated:
    """Everything that is missing, and the evaluation."""
    if who == "puppet":
        made = demo(home=str(home), methods=every(), tell=print).compared
        assert made is not None
        if not speech:
            return made
    else:
        _ingested(who, home)
        _used_to(who, home)
    name = IDENTITY if who == "puppet" else who
    return evaluate(name, methods=every(), speech=speech, home=str(home), tell=print)


def _ingested(who: str, home: Path) -> None:
    if Ledger(Home(str(home)).objects).live_clips(who):
        return
    footage = real_footage()
    if footage is None:
        raise SystemExit("no real footage: set MEMDUB_FOOTAGE")
    home.mkdir(parents=True, exist_ok=True)
    record = home / f"{who}.toml"
    record.write_text(RECORD.format(today=dt.date.today()))
    ingest([footage / "video" / FILMS[who]], who, record=record, home=str(home)).raise_if_refused()


def _used_to(who: str, home: Path) -> None:
    """Every method is trained on the person, also those whose general weights speak for anybody."""
    extract([who], home=str(home)).raise_if_refused()
    for method in every():
        if method != FLOOR:
            train(who, TrainOptions(method), home=str(home), tell=print)


def table(told: Mapping[str, Any]) -> Iterator[str]:
    """A row a figure, a column a method; means with their bounds."""
    methods = list(told["methods"])
    truth = (told["truth"] or {"figures": {}})["figures"]
    yield "| | " + " | ".join([*methods, "truth"]) + " |"
    yield "|---" * (len(methods) + 2) + "|"
    for figure in told["figures"]:
        ways = _against_floor(told, figure)
        cells = [
            _cell(told["methods"][name]["figures"].get(figure["name"]), ways.get(name)) for name in methods
        ]
        unit = f", {figure['unit']}" if figure["unit"] else ""
        true = _cell(truth.get(figure["name"]), None)
        yield f"| {figure['label']}{unit} | " + " | ".join([*cells, true]) + " |"


def _against_floor(told: Mapping[str, Any], figure: Mapping[str, str]) -> dict[str, bool]:
    """Whether a method is better than the floor, of those that a test tells apart from it."""
    found = {}
    for pair in told["pairs"]:
        if pair["figure"] == figure["name"] and FLOOR in (pair["a"], pair["b"]) and (pair["p"] or 1) < TOLD:
            other, sign = (pair["b"], -1) if pair["a"] == FLOOR else (pair["a"], 1)
            found[other] = (sign * pair["difference"] > 0) == (figure["better"] == "more")
    return found


def _cell(one: Mapping[str, Any] | None, better: bool | None) -> str:
    if one is None or one["mean"] is None:
        return ""
    mean = _short(one["mean"])
    mean = {None: mean, True: f"**{mean}**", False: f"({mean})"}[better]
    return (
        mean if one["low"] is None else f"{mean} <small>{_short(one['low'])} to {_short(one['high'])}</small>"
    )


def _short(value: float) -> str:
    """Three digits, or all of a large number's."""
    return f"{value:#.3g}" if abs(value) < 99.95 else f"{value:,.0f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("who", choices=("puppet", *FILMS))
    parser.add_argument("home", type=Path)
    parser.add_argument("--speech", type=Path, action="append", default=[])
    asked = parser.parse_args()
    done = compared(asked.who, asked.home, asked.speech)
    print("\n".join([*done.lines(), *(f"note: {line}" for line in done.told["notes"]), ""]))
    print("\n".join(table(done.told)))
    kind = "driven" if done.driven else "truth"
    page = done.write_page(Home(str(asked.home)), asked.home / "out" / "side_by_side" / f"{asked.who}_{kind}")
    print(f"\n{page}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
