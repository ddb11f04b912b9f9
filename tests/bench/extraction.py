"""Extraction's figures: speed against a bare loop, fitting, long clips, and doing nothing twice.

python -m tests.bench.extraction             (real footage where MEMDUB_FOOTAGE has it, else puppets)
"""

from __future__ import annotations

import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import av

from flows.extract import Planned, extract, plan
from flows.ingest import ingest
from storage.artifacts import Artifact
from storage.media import MediaWriter, VideoReader
from tasks.extract import Job, extract_audio, find_faces, fit_model, join_features, track_face
from tasks.film import Script, film
from tasks.team import Team, open_team
from tests.bench.footage import real_footage
from tests.helpers.footage import keep_consent

SPAWN = multiprocessing.get_context("spawn")
ROUNDS = 3


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        small, large = _sources(root)
        speed(root, small, large)
        long(root, small)
        again(root)


def _sources(root: Path) -> tuple[Path, Path]:
    """A minute at 256x256 and one at 512x512."""
    real = real_footage()
    if real is not None:
        sharp = real / "video" / "hdtf_WDA_KatieHill_000.mp4"
        return real / "video" / "senator_60s_256.mp4", _looped(sharp, root / "sharp.mp4", 1500)
    films = []
    for size in (256, 512):
        made = film(Script(seed=2, size=size, text="The quick brown fox. " * 30), root / f"{size}.mp4")
        films.append(_looped(made.video, root / f"minute{size}.mp4", 1500))
    return films[0], films[1]


def _looped(source: Path, target: Path, frames: int) -> Path:
    """The video again and again, with its sound, to so many frames."""
    reader = VideoReader(source)
    from storage.media import read_sound

    sound = read_sound(source, 16000, True)
    with MediaWriter(target, reader.size, Fraction(reader.rate), 16000, crf=14, preset="veryfast") as writer:
        for picture in islice((p for _ in cycle([0]) for p in reader), frames):
            writer.write_frame(picture)
        wanted = round(frames / float(reader.rate) * 16000)
        for _ in range(-(-wanted // len(sound))):
            piece = sound[:wanted]
            writer.write_sound(piece)
            wanted -= len(piece)
    return target


def _prepared(root: Path, name: str, *sources: Path) -> tuple[str, list[Planned]]:
    home = root / name
    keep_consent(home)
    ingest(list(sources), "anna", home=str(home), silent_ok=True).raise_if_refused()
    return str(home), plan(["anna"], home=str(home))[2]


def bare_loop(path: str) -> float:
    """Frames a second of decoding and mesh in one process, as anybody would write it."""
    import mediapipe as mp

    mesh = mp.solutions.face_mesh.FaceMesh(refine_landmarks=True)
    with av.open(path) as source:
        frames = source.decode(video=0)
        mesh.process(next(frames).to_ndarray(format="rgb24"))
        begun, count = time.perf_counter(), 0
        for frame in frames:
            mesh.process(frame.to_ndarray(format="rgb24"))
            count += 1
    return count / (time.perf_counter() - begun)


def _bare(path: Path, processes: int = 1) -> float:
    """Frames a second of so many bare loops at once, together."""
    with SPAWN.Pool(processes) as pool:
        return sum(pool.map(bare_loop, [str(path)] * processes, chunksize=1))


def warm() -> None:
    """Networks are loaded before the clock starts, as they are for the bare loop."""
    import tasks.faces
    import tasks.track  # noqa: F401
    from tasks._mediapipe import detector, mesh

    mesh("mesh"), detector(True), detector(False)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    made = work()
    return time.perf_counter() - begun, made


def _job(home: str, planned: Planned, team: Team) -> Job:
    place, ingredients, _ = plan(["anna"], home=home)
    video = place.path(planned.clip.uri) / "clip.mp4"
    return Job(place, planned.clip, video, planned.row, ingredients, planned.chain, team)


def speed(root: Path, small: Path, large: Path) -> None:
    print(
        "Decode, tracking, pose, action units, crop, Zarr with 2 workers against a bare decode and mesh loop:"
    )
    with open_team(2) as team:
        team.client.run(warm)
        for label, source in (("256x256", small), ("512x512", large)):
            ratios = []
            for number in range(ROUNDS):
                home, (planned,) = _prepared(root, f"speed-{label}-{number}", source)
                job = _job(home, planned, team)
                bare, twice = _bare(job.video), _bare(job.video, 2)
                tracked, (faces, track) = _timed(lambda job=job: _track(job))
                ratios.append(planned.frames / tracked / bare)
                print(
                    f"  {label}, {planned.frames} frames: {planned.frames / tracked:.0f} frames a second, "
                    f"bare loop {bare:.0f}: {ratios[-1]:.2f} times "
                    f"(two bare loops at once, all that two cores give: {twice / bare:.2f} times)"
                )
            print(f"  {label}: median {statistics.median(ratios):.2f} times")
            fitted, fit = _timed(lambda job=job, track=track: fit_model(job, track))
            heard, audio = _timed(lambda job=job: extract_audio(job))
            parts = (faces, track, audio, fit)
            joined, _ = _timed(lambda job=job, parts=parts: join_features(job, *parts))
            seconds = planned.row["duration_s"]
            print(
                f"  {label}: fitting {fitted:.1f} s, tracking {tracked:.1f} s: {fitted / tracked:.2f} of it"
            )
            print(f"  {label}: audio {heard:.2f} s, one core: {seconds / heard:.0f} times real time")
            print(f"  {label}: joining {joined:.2f} s")


def _track(job: Job) -> tuple[Artifact, Artifact]:
    faces = find_faces(job)
    return faces, track_face(job, faces)


def peak_mb() -> float:
    """The most memory this process ever had."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1000
    raise RuntimeError("no VmHWM in /proc/self/status")


def long(root: Path, small: Path) -> None:
    print("One minute and ten of the same footage, everything, 2 workers:")
    for minutes in (1, 10):
        frames = round(1500 * minutes)
        home, (planned,) = _prepared(
            root, f"long-{minutes}", _looped(small, root / f"long{minutes}.mp4", frames)
        )
        with open_team(2) as team:
            team.client.run(warm)
            job = _job(home, planned, team)
            seconds, _ = _timed(lambda job=job: _all(job))
            peaks = team.client.run(peak_mb).values()
        print(
            f"  {minutes} min: {planned.frames / seconds:.0f} frames a second, "
            f"most memory of a worker {max(peaks):.0f} MB"
        )


def _all(job: Job) -> Artifact:
    audio = extract_audio(job)
    faces, track = _track(job)
    return join_features(job, faces, track, audio, fit_model(job, track))


def again(root: Path) -> None:
    """Twenty clips that are extracted already."""
    home = root / "twenty"
    keep_consent(home)
    for number in range(20):
        made = film(Script(seed=number % 8, size=128, text=f"Clip number {number}."), root / f"c{number}.mp4")
        ingest([made.video], "anna", home=str(home)).raise_if_refused()
    extract(["anna"], home=str(home)).raise_if_refused()
    inside, done = _timed(lambda: extract(["anna"], home=str(home)))
    assert all(one.features.reused for one in done.outcomes)
    command = [sys.executable, "-m", "flows.cli"]
    environment = {"MEMDUB_HOME": str(home), "PATH": "/usr/bin:/bin"}
    run = lambda *words: subprocess.run([*command, *words], env=environment, capture_output=True, check=True)  # noqa: E731
    whole = min(_timed(lambda: run("extract", "anna"))[0] for _ in range(3))
    empty = min(_timed(lambda: run("extract", "--help"))[0] for _ in range(3))
    print(
        f"Extracting {len(done.outcomes)} extracted clips: {inside:.2f} s; "
        f"the whole command {whole:.2f} s, of which start-up {empty:.2f} s"
    )


if __name__ == "__main__":
    main()
