"""A troupe: many people who do not exist, filmed and extracted, for general weights to be trained on.

    python -m flows.troupe HOME [--people 120] [--seconds 16] [--vivid]

Everybody has a face, a voice, a language and a manner of their own; some hardly open their mouths. A member
depends on its number alone: an interrupted run goes on, and a larger troupe begins with the smaller one.
Nobody of it is known to benches and tests, whose puppets have small seeds.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from flows.extract import extract
from flows.puppet import puppet
from tasks.acoustic.texts import SPELLINGS, sentence
from tasks.film import Script, rehearse
from tasks.speech import languages

__all__ = ["member", "troupe"]

_FIRST_SEED = 90_000
_OPENNESS = (0.4, 1.1)
# Where espeak-ng's name of a language is not the spelling's.
_SPOKEN = {"en": "en-us", "fr": "fr-fr"}


def member(number: int, seconds: float, vivid: bool = False) -> Script:
    """What this one says, for at least so long; `vivid` in a manner of its own to move and to blink."""
    draw = np.random.default_rng([number, 0x7209])
    known = set(languages())
    spoken = {one: _SPOKEN.get(one, one) for one in sorted(SPELLINGS) if _SPOKEN.get(one, one) in known}
    # English every third time: its sounds are met most.
    language = "en" if number % 3 == 0 else str(draw.choice(list(spoken)))
    openness = round(float(draw.uniform(*_OPENNESS)), 3)
    script = Script(_FIRST_SEED + number, "", spoken[language], supersample=1, openness=openness, vivid=vivid)
    for _ in range(40):
        script = replace(script, text=f"{script.text} {sentence(language, draw)}".strip())
        if rehearse(script)[0].duration_s >= seconds:
            break
    return script


def troupe(
    home: str, people: int, seconds: float, first: int = 0, workers: int = 2, vivid: bool = False
) -> list[str]:
    """Films and extracts who is missing; their names."""
    names = [f"troupe-{number:04d}" for number in range(first, people)]
    # One of them first: a home's folders are made, and what is wrong is said once.
    _filmed(home, first, seconds, vivid)
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        films = [pool.submit(_filmed, home, number, seconds, vivid) for number in range(first, people)]
        for done, one in enumerate(as_completed(films), 1):
            _tell(f"filmed {one.result()}, {done} of {len(films)}")
    extract(names, home=home).raise_if_refused()
    return names


def _filmed(home: str, number: int, seconds: float, vivid: bool) -> str:
    name = f"troupe-{number:04d}"
    # Its own process films alone: another two for each film would spend the time on starting.
    puppet(name, member(number, seconds, vivid), home=home, workers=1)
    return name


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("home", type=Path)
    parser.add_argument("--people", type=int, default=120)
    parser.add_argument("--seconds", type=float, default=16.0)
    parser.add_argument("--first", type=int, default=0, help="the first of them, to share the work")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--vivid", action="store_true", help="people whose manners truly differ")
    asked = parser.parse_args()
    troupe(str(asked.home), asked.people, asked.seconds, asked.first, asked.workers, asked.vivid)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
