"""The sync expert on clips that it never saw: does it tell sound that is in step from sound that is not?

    python -m tests.bench.sync HOME [--weights FILE] [--people a,b]     (identities of a home, extracted)
    python -m tests.bench.sync                                          puppets of seeds 0 to 7, filmed first

`late` is by how many frames the sound is late still, as extraction's table measures what it left, and as
the expert does. All else is after the clip was moved by the expert's whole frames, and where somebody speaks.
`right`: pairs, half of them in step, half not (half of those 3 to 9 frames off, half further), told right by
the expert's own threshold. `nearer`: of such two sounds the true one is the nearer to the lips, the clip's
own mean taken off. `found`: the true one of fifteen, or one beside it. Each for windows of five frames, and
for means over a second.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from flows.extract import extract
from flows.ingest import ingest
from models.puppet.texts import ENGLISH_SENTENCES
from models.sync import SyncNet
from models.sync.losses import FAR, NEAR
from models.sync.measuring import apart, evened, measured
from models.sync.network import VOICE
from storage import consent
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger
from tasks import in_sync
from tasks._film_in_time import runs_of, sound_of_film
from tasks.extract import video_of
from tasks.film import Script, film
from tasks.material import Material, open_materials
from tasks.remember import features_of
from tests.bench.renderer_people import RECORD

SEEDS = range(8)
REACH, SECOND = 7, 21
Pair = tuple[Tensor, Tensor]


class Row(NamedTuple):
    """What is told of a clip; shares are of windows, and of seconds."""

    who: str
    frames: int
    by_table: float
    by_expert: float
    right: float
    nearer: float
    found: float
    right_1s: float
    nearer_1s: float
    found_1s: float


def puppets() -> Home:
    """A home of puppets that no troupe has; filmed and extracted once."""
    place = Path(tempfile.gettempdir()) / "memdub-sync"
    place.mkdir(exist_ok=True)
    record = place / "consent.toml"
    record.write_text(RECORD.format(today="2026-01-01"))
    for seed in SEEDS:
        video, who = place / f"puppet{seed}.mp4", f"puppet-{seed}"
        if not video.exists():
            film(Script(seed, " ".join(ENGLISH_SENTENCES[:4])), video)
        ingest([video], who, record=record, home=str(place / "home"))
        extract([who], home=str(place / "home"), workers=1).raise_if_refused()
    return Home(str(place / "home"))


def clips(home: Home, people: list[str]) -> Iterator[tuple[str, Material]]:
    for who in people or sorted(consent.identities(home)):
        try:
            sources = features_of(home, Ledger(home.objects), who)
        except RequestError:
            continue
        yield from ((who, one) for one in open_materials(home, [source.features for source in sources]))


@torch.inference_mode()
def row_of(home: Home, who: str, one: Material, expert: SyncNet) -> Row | None:
    """None of a clip without a long run; of several, the longest is looked at."""
    with video_of(home, one.clip) as video:
        clip = in_sync._clip_of(video, one)
        sound, runs = sound_of_film(clip, in_sync._heard_of(one)), runs_of(clip)
        if not runs:
            return None
        start, stop = max(runs, key=lambda run: run[1] - run[0])
        pair = in_sync._embedded(clip, sound, expert, start, stop)
    (even,) = evened([pair])
    late, spoken = measured([apart(*even)]).offset, speech_in(sound[start:stop])
    left = float(one.group.attrs["offset_frames"]) - float(one.group.attrs["sound_offset_frames"])
    shares = [told(expert, pair, even, spoken, round(late), length) for length in (1, SECOND)]
    return Row(who, stop - start, left, late, *shares[0], *shares[1])


def speech_in(sound: Tensor) -> Tensor:
    """(n,) windows around which somebody speaks half of the time."""
    voice = functional.pad(sound[..., VOICE].mean(1)[None], (4, 4), "replicate")[0]
    return voice.unfold(0, 13, 1).mean(1) > 0.5


def told(
    expert: SyncNet, pair: Pair, even: Pair, spoken: Tensor, late: int, length: int
) -> tuple[float, float, float]:
    """(right, nearer, found), with scores averaged over so many windows."""
    counts = spoken[max(-late, 0) :][: len(spoken) - abs(late)].float().unfold(0, length, 1).mean(1) > 0.5
    raw, table = (scores(one, late, length) for one in (pair, even))
    at = torch.arange(len(table))
    off = (at[:, None] - at).abs()
    sides = [counts[:, None] & side for side in ((off >= NEAR[0]) & (off <= NEAR[1]), off >= FAR)]
    logits, true = expert.told(raw), table.diagonal()[:, None]
    refused = np.mean([share(logits[side] < 0) for side in sides])
    nearer = np.mean([share((true > table)[side]) for side in sides])
    inner = at[REACH : len(at) - REACH]
    around = table[inner[:, None], inner[:, None] + torch.arange(-REACH, REACH + 1)]
    near = (around.argmax(1) - REACH).abs() <= 1
    right = (share(logits.diagonal()[counts] > 0) + float(refused)) / 2
    return right, float(nearer), share(near[counts[inner]])


def scores(pair: Pair, late: int, length: int) -> Tensor:
    """(n, n) of what is seen against what is heard `late` frames later, averaged along the diagonals."""
    seen, heard = pair
    count, first = len(seen) - abs(late), max(-late, 0)
    table = seen[first : first + count] @ heard[first + late : first + late + count].T
    return functional.conv2d(table[None, None], torch.eye(length)[None, None] / length)[0, 0]


def share(right: Tensor) -> float:
    return float(right.float().mean())


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("home", nargs="?")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--people", default="", help="names, with commas between them; else everybody")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    home, expert = puppets() if asked.home is None else Home(asked.home), weights_of(asked.weights)
    people = [name for name in asked.people.split(",") if name]
    made = (row_of(home, who, one, expert) for who, one in clips(home, people))
    rows = [row for row in made if row is not None]
    if not rows:
        raise SystemExit("nobody with features there")
    print("| who | frames | late: table | expert | right | nearer | found | 1 s: right | nearer | found |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(line(row))
    print(line(mean(rows)))
    return 0


def weights_of(file: Path | None) -> SyncNet:
    return in_sync.bundled_expert() if file is None else in_sync.expert_of(file)


def mean(rows: list[Row]) -> Row:
    """Everybody counts alike."""
    columns = list(zip(*(row[1:] for row in rows), strict=True))
    apart_by = [float(np.mean(np.abs(column))) for column in columns]
    return Row("all; late: without signs", round(sum(columns[0])), *apart_by[1:])


def line(row: Row) -> str:
    shares = " | ".join(f"{value:.3f}" for value in row[4:])
    return f"| {row.who} | {row.frames} | {row.by_table:.1f} | {row.by_expert:.1f} | {shares} |"


if __name__ == "__main__":
    raise SystemExit(main())
