"""What the embedded acoustic network is worth: real lips it never saw, other languages, noise, speed.

python -m tests.bench.acoustic [FILE.safetensors]

Real clips lie in MEMDUB_FOOTAGE (else ../shared/data); the table is the only part that needs them.
`python -m tests.bench.acoustic more` tells of other talking heads, in the folder MEMDUB_MORE_FOOTAGE.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import librosa
import numpy as np
import torch
from numpy.typing import NDArray

from models.acoustic import AcousticNet, Network, load
from storage.weights import Registry, open_safetensors
from tests.bench import acoustic_protocol as protocol
from tests.bench.acoustic_languages import NOISES, languages, share_silent
from tests.bench.acoustic_protocol import Clip

FOOTAGE = Path(
    os.environ.get("MEMDUB_FOOTAGE", Path(__file__).resolve().parents[2].parent / "shared" / "data")
)
IN_SYNC = (
    "senator_60s_256.mp4",
    "senator2_10s_256.mkv",
    "hdtf_RD_Radio34_000.mp4",
    "hdtf_WDA_EdMarkey0_000.mp4",
    "hdtf_WDA_KatieHill_000.mp4",
    "fullbody_10s_1080x1920.mp4",
)
NEEDED = 0.08
SEEDS = (0, 1, 2)
Sound = NDArray[np.float32]
Features = Callable[[Sound], NDArray[np.float32]]
Scores = dict[str, dict[str, float]]


def the_network(file: str | None) -> AcousticNet:
    content = open_safetensors(Path(file) if file else Registry().find("acoustic").path)
    return load(content.arrays, content.metadata)


def untrained(like: AcousticNet, seed: int) -> AcousticNet:
    torch.manual_seed(seed)
    return AcousticNet(Network(like.config))


def hidden(net: AcousticNet) -> Features:
    return lambda sound: np.concatenate([rows for rows, _ in net.stream_both([sound])])


def _power(sound: Sound) -> NDArray[np.float32]:
    return librosa.feature.melspectrogram(
        y=sound, sr=16000, n_fft=512, win_length=400, hop_length=160, n_mels=80
    )[:, : len(sound) // 160]


def energy(sound: Sound) -> NDArray[np.float32]:
    return np.log(_power(sound).mean(0) + 1e-10)[:, None]


def log_mel(sound: Sound) -> NDArray[np.float32]:
    return np.log(_power(sound) + 1e-10).T


def mfcc(sound: Sound) -> NDArray[np.float32]:
    return librosa.feature.mfcc(S=librosa.power_to_db(_power(sound)), n_mfcc=13).T


def rows(net: AcousticNet) -> dict[str, Sequence[Features]]:
    """What is compared; a row of several is the mean of their scores."""
    random = [untrained(net, seed) for seed in SEEDS]
    return {
        "energy": [energy],
        "13 MFCC": [mfcc],
        "80 log-mel": [log_mel],
        "random net, 29 outputs": random,
        "random net, hidden": [hidden(one) for one in random],
        "ours, 29 outputs": [net],
        "ours, hidden": [hidden(net)],
    }


def scores(
    clips: Sequence[Clip], late: Mapping[str, int], compared: Mapping[str, Sequence[Features]]
) -> Scores:
    """Row -> clip -> correlation across; `within NAME` likewise."""
    y = {clip.name: protocol.target(clip.gap) for clip in clips}
    out: Scores = {}
    for row, some in compared.items():
        found = [
            {c.name: protocol.windows(one(c.sound), len(c.gap), late.get(c.name, 0)) for c in clips}
            for one in some
        ]
        out[row] = {name: float(np.mean([protocol.across(x, y, name)[0] for x in found])) for name in y}
        out[f"within {row}"] = {
            name: float(np.mean([protocol.within(x[name], y[name]) for x in found])) for name in y
        }
    return out


def mean(row: Mapping[str, float], names: Sequence[str]) -> float:
    return float(np.mean([row[name] for name in names]))


def print_table(told: Scores, late: Mapping[str, int]) -> bool:
    """The table, and whether our outputs beat log-mel and the random net by what is asked."""
    names = [name for name in next(iter(told.values())) if name != protocol.LATE]
    shown = [*names, *(name for name in next(iter(told.values())) if name not in names)]
    print(f"\n| | mean of {len(names)} | within | {' | '.join(name[:14] for name in shown)} |")
    print("|---|---|---|" + "---|" * len(shown))
    print(f"| *sound late by, frames* | | | {' | '.join(str(late.get(name, 0)) for name in shown)} |")
    for row in (row for row in told if not row.startswith("within ")):
        cells = [f"{mean(told[row], names):.3f}", f"{mean(told['within ' + row], names):.3f}"]
        print(f"| {row} | {' | '.join([*cells, *(f'{told[row][name]:.2f}' for name in shown)])} |")
    gains = [_gain(told, "ours, 29 outputs", other, names) for other in _RIVALS]
    return min(gains) >= NEEDED


_RIVALS = ("80 log-mel", "random net, 29 outputs", "random net, hidden")


def _gain(told: Scores, ours: str, other: str, names: Sequence[str]) -> float:
    differences = [told[ours][name] - told[other][name] for name in names]
    low, high = protocol.interval(differences)
    better = sum(d > 0 for d in differences)
    print(
        f"{ours} against {other}: {np.mean(differences):+.3f} "
        f"(95 of 100 bootstraps over clips {low:+.3f} to {high:+.3f}; better on {better} of {len(names)})"
    )
    return float(np.mean(differences))


def real_lips(net: AcousticNet) -> bool:
    folder, cache = FOOTAGE / "video", Path(os.environ.get("TMPDIR", "/tmp")) / "memdub-lip-gaps"
    clips = [protocol.read_clip(folder / name, cache) for name in (*IN_SYNC, f"{protocol.LATE}.mp4")]
    compared = rows(net)
    late = protocol.offsets(clips, {clip.name: mfcc(clip.sound) for clip in clips})
    print("\n## Lips of people never seen, each clip's sound moved into step (measured with MFCC)")
    done = print_table(scores(clips, late, compared), late)
    print(f"at least {NEEDED} better than log-mel and the random net: {'yes' if done else 'NO'}")
    print("\n## The same, clips as they were recorded")
    in_sync = [clip for clip in clips if clip.name != protocol.LATE]
    print_table(scores(in_sync, {}, compared), {})
    return done


def more_lips(net: AcousticNet, folder: Path) -> None:
    """Clips that nothing was chosen on, each fitted on all others and on those of the first table."""
    cache = Path(os.environ.get("TMPDIR", "/tmp")) / "memdub-lip-gaps"
    more = [file for file in sorted(folder.iterdir()) if file.suffix in (".mp4", ".mkv")]
    known = [FOOTAGE / "video" / name for name in (*IN_SYNC, f"{protocol.LATE}.mp4")]
    clips = [protocol.read_clip(file, cache) for file in (*more, *known)]
    late = protocol.offsets(clips, {clip.name: mfcc(clip.sound) for clip in clips})
    y = {clip.name: protocol.target(clip.gap) for clip in clips}
    compared = {row: some[:1] for row, some in rows(net).items()}
    print(f"\n## Lips in {len(more)} other clips\n\n| | mean | {' | '.join(f.stem[:14] for f in more)} |")
    print("|---|---|" + "---|" * len(more))
    for row, (one,) in compared.items():
        x = {c.name: protocol.windows(one(c.sound), len(c.gap), late[c.name]) for c in clips}
        found = [protocol.across(x, y, file.stem)[0] for file in more]
        cells = [f"{np.mean(found):.3f}", *(f"{value:.2f}" for value in found)]
        print(f"| {row} | {' | '.join(cells)} |", flush=True)


def other_languages(net: AcousticNet) -> None:
    print(
        "\n## Other languages, voices held out of training: area under the curve, closed lips / open vowels"
    )
    compared: dict[str, Features] = {"80 log-mel": _at_50(log_mel)}
    compared |= {"random net": untrained(net, 0), "ours": net}
    print("| | " + " | ".join(compared) + " |\n|---|" + "---|" * len(compared))
    for heard, found in languages(compared):
        print(f"| {heard} | " + " | ".join(f"{a:.3f} / {b:.3f}" for a, b in found.values()) + " |")


def _at_50(features: Features) -> Features:
    def paired(sound: Sound) -> NDArray[np.float32]:
        values = features(sound)
        return 0.5 * (values[0 : len(values) // 2 * 2 : 2] + values[1::2])

    return paired


def silence(net: AcousticNet) -> None:
    print("\n## Nothing said: frames whose likeliest symbol is the space or the blank, of 20 s")
    draw = np.random.default_rng(0)
    for name, make in NOISES.items():
        print(f"| {name} | {share_silent(net(_not_too_loud(make(20 * 16000, draw)))):.1%} |")


def _not_too_loud(sound: NDArray[np.float64]) -> Sound:
    return (0.3 * sound / max(1.0, float(np.abs(sound).max()))).astype(np.float32)


def speed(net: AcousticNet, minutes: int = 5) -> None:
    torch.set_num_threads(1)
    draw = np.random.default_rng(0)

    def blocks() -> Iterator[Sound]:
        for _ in range(60 * minutes):
            yield 0.1 * draw.standard_normal(16000).astype(np.float32)

    begun = time.perf_counter()
    frames = sum(len(one) for one in net.stream(blocks()))
    spent = time.perf_counter() - begun
    print(
        f"\n## Speed\n{minutes} min of sound, {frames} frames, one thread: {60 * minutes / spent:.0f} x live"
    )


def main() -> int:
    warnings.filterwarnings("ignore", message=".*GetPrototype.*")
    torch.set_num_threads(1)
    if sys.argv[1:] == ["more"]:
        more_lips(the_network(None), Path(os.environ["MEMDUB_MORE_FOOTAGE"]))
        return 0
    net = the_network(sys.argv[1] if len(sys.argv) > 1 else None)
    done = True
    if (FOOTAGE / "video").is_dir():
        done = real_lips(net)
    else:
        print(f"no real footage in {FOOTAGE}: set MEMDUB_FOOTAGE")
    other_languages(net)
    silence(net)
    speed(net)
    return 0 if done else 1


if __name__ == "__main__":
    raise SystemExit(main())
