"""How memdub scales: 100,000 clips through planner, scheduler and ledger with stages that do nothing.

    python -m tests.bench.scaling                       all of it (some fifteen minutes)
    python -m tests.bench.scaling --count 5000 ledger   one part, smaller

    dask      what a task costs the scheduler, whole clips and blocks
    ledger    a home grows: seconds per thousand artifacts against how many are there already
    flow      100,000 clips planned, handed to workers that do nothing, gathered, and planned again
    writers   many writers of one partition, in a folder and in a bucket on a loopback S3 server
    bucket    requests and bytes of one real clip from end to end in a bucket
    near      clips in blocks against whole clips, where workers share the disk

`infra/SCALING.md` reads these figures. Nothing here needs footage: clips are rows, but for `bucket`.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import hashlib
import json
import multiprocessing
import shutil
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import s3fs

from flows.extract import plan
from flows.extracting import Outcome, Work, _share_out, extract_far
from flows.ingest import ingest
from storage.artifacts import Artifact
from storage.home import Home
from storage.ledger import Commit, Ledger
from storage.objects import open_objects
from storage.runs import run
from tasks.film import Script, film
from tasks.team import open_team, report_step
from tests.helpers.footage import RECORD, keep_consent
from tests.storage import s3

SPAWN = multiprocessing.get_context("spawn")
KINDS = ("faces", "track", "audio", "fit", "features")
THOUSAND = 1000


def commit(name: str, kind: str = "clip", identity: str = "anna", parents: int = 1) -> Commit:
    """A commit as extraction has them: the row, its edges, no bytes."""
    digest = hashlib.sha256(f"{kind}-{name}".encode()).hexdigest()
    own = f"{kind}-{digest[:20]}"
    recipe = json.dumps(
        {"kind": kind, "stage": kind, "stage_version": 1, "parameters": {"sha256": digest}, "inputs": {}}
    )
    row = {
        "id": own,
        "kind": kind,
        "identity": identity,
        "uri": f"stores/{kind}/{own}",
        "content_hash": digest,
        "bytes": 1_000_000,
        "recipe": recipe,
        "stage": kind,
        "stage_version": 1,
        "code_revision": "0.1.0+0123456789ab",
        "started": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "seconds": 12.5,
        "host": "bench",
        "run_id": "20260101T000000-01234567",
    }
    edges = [
        {"child": own, "parent": f"clip-{digest[n : n + 20]}", "role": f"input {n}", "parent_name": None}
        for n in range(parents)
    ]
    return Commit(row, edges)


def timed(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def worked(work: Callable[[], Any]) -> float:
    """Processor seconds of this process: what else the machine does counts less."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def nothing(order: Any) -> Any:
    """A stage that does nothing."""
    return order


def block(topic: str, number: int) -> list[tuple[str, int, list[str]]]:
    """What a block's task hands back: names and digests of what it wrote."""
    report_step(topic, 256)
    return [(name, number * 256, ["0" * 64]) for name in ("video/crop", "track/pose", "track/gaze")]


def dask(count: int) -> None:
    """What a task costs, from one client over two workers: nearly all of it is the scheduler's."""
    number = min(count, 20_000)
    with open_team(2) as team, team.steps(lambda _: None) as topic:
        team.do(nothing, None, name="warm")
        whole = timed(lambda: list(team.each(nothing, range(number), name=str)))
        futures: list[Any] = []
        submitting = timed(
            lambda: futures.extend(team.submit(block, topic, n, name="block") for n in range(number))
        )
        waiting = timed(lambda: team.client.gather(futures))
    print(f"Dask, 2 workers on this machine, tasks that do nothing ({number}):")
    print(f"  whole clips, 256 ahead: {whole / number * 1e3:.2f} ms a task")
    each = (submitting + waiting) / number * 1e3
    print(f"  blocks, all at once: {submitting / number * 1e3:.2f} ms to submit, {each:.2f} ms in all")


def ledger(count: int) -> None:
    """Commits into one identity's partition, alone and in batches, while it grows."""
    for label, url, most in _places(count):
        with url() as where:
            print(f"Ledger {label}, one identity: one commit alone / an artifact in batches of 512 / a look")
            _grow(where, most)


def _places(count: int) -> list[tuple[str, Callable[[], Any], int]]:
    return [("in a folder", _folder, count * len(KINDS)), ("in a bucket", _bucket, min(count, 20_000))]


def _grow(url: str, most: int) -> None:
    steps = sorted({0, THOUSAND, most // 100, most // 20, most // 5, most // 2, most})
    held = Ledger(open_objects(url))
    there = 0
    for step in steps:
        while there < step:
            size = min(512, step - there)
            held.commit(*(commit(f"{there + n}", KINDS[n % 5], parents=2) for n in range(size)))
            there += size
        single = (
            timed(lambda n=there: [held.commit(commit(f"{n}-alone{i}", parents=2)) for i in range(5)]) / 5
        )
        batch = [commit(f"{there}-batch{n}", KINDS[n % 5], parents=2) for n in range(512)]
        batched = timed(lambda batch=batch: held.commit(*batch)) / 512
        look = timed(lambda batch=batch: [held.find(one.artifact["id"], "anna") for one in batch[:5]]) / 5
        fresh = Ledger(open_objects(url))
        cold = timed(lambda batch=batch, fresh=fresh: fresh.find(batch[7].artifact["id"], "anna"))
        there += 517
        print(
            f"  {there:7d} artifacts: {single * 1e3:6.1f} ms / {batched * 1e3:5.2f} ms / {look * 1e3:.1f} ms;"
            f" a new process's first look {cold:.2f} s",
            flush=True,
        )


class _Nobody:
    """Workers that do a whole clip's work in no time, and post what they would have made."""

    size = 1000

    def __init__(self, home: Home, pause: int) -> None:
        self.home, self.pause, self.times = home, pause, [time.process_time()]

    def each(self, function: Any, orders: Any, *, name: Any) -> Iterator[tuple[Any, Any]]:
        from tasks.whole import Extracted

        posts = Ledger(self.home.objects)
        for number, order in enumerate(orders, 1):
            made = [self._made(order, kind, posts) for kind in KINDS]
            features = Artifact(order.features, "features", "anna", f"stores/features/{order.features}", {})
            ids = tuple(one.artifact["id"] for one in made)
            yield order, Extracted(features, {}, ids, (), tuple(made), 1.0, "nobody")
            if number % self.pause == 0:
                self.times.append(time.process_time())

    def _made(self, order: Any, kind: str, posts: Ledger) -> Commit:
        """As `produce` would leave it: a manifest, and the commit."""
        made = commit(order.clip.id, kind, parents=3)
        if kind == "features":
            data = b"{}"
            row = {**made.artifact, "id": order.features, "uri": f"stores/features/{order.features}"}
            row["content_hash"] = hashlib.sha256(data).hexdigest()
            made = Commit(row, [{**edge, "child": order.features} for edge in made.lineage])
            path = self.home.path(f"{row['uri']}/manifest.json")
            path.parent.mkdir(parents=True)
            path.write_bytes(data)
        return made

    @contextlib.contextmanager
    def steps(self, step: Any) -> Iterator[str]:
        yield "nowhere"

    def stop(self) -> None: ...


def flow(count: int) -> None:
    """The flow's own part of an extraction, in processor seconds: plan, orders, commits in batches, plan."""
    with _folder() as url:
        home = Home(url)
        keep_consent(Path(url))
        rows = [_clip(n) for n in range(count)]
        filling = worked(lambda: Ledger(home.objects).commit(*rows))
        print(
            f"The flow, {count} clips of one identity ({filling:.0f} s to ingest their rows in one commit):"
        )
        planning = worked(lambda: plan(["anna"], home=url))
        print(f"  planned, nothing done: {planning:.1f} s, {planning / count * 1e3:.2f} s per 1,000")
        place, ingredients, todo = plan(["anna"], home=url)
        workers, done = _Nobody(place, max(THOUSAND, count // 10)), list[Outcome]()
        with run(Ledger(place.objects), "extract", identity="anna") as this:
            work = Work(place, ingredients, this, done.append, lambda error: None, None)
            whole = timed(lambda: extract_far(work, todo, workers, lambda stage, frames: None))  # type: ignore[arg-type]
        spans = [after - before for before, after in zip(workers.times, workers.times[1:], strict=False)]
        each = workers.pause / THOUSAND
        print(f"  carried out: {whole:.1f} s; processor, per 1,000 clips (5,000 artifacts), by tenths:")
        print("   ", " ".join(f"{span / each:.2f}" for span in spans))
        again = worked(lambda: plan(["anna"], home=url))
        found = sum(one.features is not None for one in plan(["anna"], home=url)[2])
        print(f"  planned, all done ({found}): {again:.1f} s, {again / count * 1e3:.2f} s per 1,000")
        size = sum(path.stat().st_size for path in Path(url, "ledger").rglob("*.parquet"))
        files = sum(1 for _ in Path(url, "ledger").rglob("*.parquet"))
        print(f"  the ledger: {files} files, {size / 1e6:.0f} MB")


def _clip(number: int) -> Commit:
    made = commit(str(number))
    row = {"id": made.artifact["id"], "identity": "anna", "source_name": f"{number}.mp4", "frames": 1500}
    rates = {"rate_num": 25, "rate_den": 1, "width_px": 256, "height_px": 256, "duration_s": 60.0}
    return replace(made, clips=[row | rates])


def write(url: str, writer: int, each: int, posting: bool) -> None:
    """A worker's commits, one artifact after the other."""
    own = Ledger(open_objects(url))
    for number in range(each):
        made = commit(f"{writer}-{number}", KINDS[number % 5], parents=2)
        own.post(made) if posting else own.commit(made)


def writers(count: int) -> None:
    """Writers of one partition at once: each commits by itself, or posts and one process gathers."""
    for label, place, _ in _places(count):
        print(f"Writers of one partition {label}: artifacts a second, committing / posting and gathering")
        for number in (1, 4, 16):
            told = []
            for posting in (False, True):
                with place() as url:
                    told.append(_rate(url, number, 20, posting))
            print(f"  {number:2d} writers: {told[0]:6.1f} / {told[1]:6.1f}", flush=True)


def _rate(url: str, number: int, each: int, posting: bool) -> float:
    """Threads: what is measured is waiting for each other, and two cores would tell the same of processes."""
    workers = [threading.Thread(target=write, args=(url, n, each, posting)) for n in range(number)]
    begun = time.perf_counter()
    for worker in workers:
        worker.start()
    held = Ledger(open_objects(url))
    while any(worker.is_alive() for worker in workers):
        if posting:
            held.gather()
        time.sleep(0.05)  # as often as a flow's workers end clips
    held.gather()
    seconds = time.perf_counter() - begun
    rows = Ledger(open_objects(url)).rows("artifacts", ["id"])["id"].to_pylist()
    assert len(rows) == len(set(rows)) == number * each, "a row was lost, or is there twice"
    return number * each / seconds


def bucket(count: int) -> None:
    """One clip of a puppet, extracted in a bucket: what the object store is asked, and what it holds."""
    with _bucket() as url, tempfile.TemporaryDirectory() as folder:
        home, tally = f"{url}/{uuid.uuid4().hex}", Counter[str]()
        record = Path(folder) / "anna.toml"
        record.write_text(RECORD.format(scope='["ingest"]', expires="2999-01-01"))
        text = "The quick brown fox jumps over the lazy dog."
        made = film(Script(seed=2, size=256, text=text), Path(folder) / "puppet.mp4")
        ingest([made.video], "anna", record=record, home=home).raise_if_refused()
        with _tallied(tally):
            begun = time.perf_counter()
            (one,) = _as_far_workers_do(home)
            seconds = time.perf_counter() - begun
        frames, size = one.row["frames"], 256
        print(f"One clip of {frames} frames, {size} by {size}, in a bucket ({seconds:.0f} s, one core):")
        asked = {name: number for name, number in tally.items() if not name.endswith("bytes")}
        print("  requests:", ", ".join(f"{number} {name}" for name, number in sorted(asked.items())))
        up, down = (tally[f"{way} bytes"] / 1e6 for way in ("up", "down"))
        print(f"  in all {sum(asked.values())}; {up:.1f} MB up, {down:.1f} MB down")
        sizes = {
            row["kind"]: row["bytes"] for row in Ledger(Home(home).objects).rows("artifacts").to_pylist()
        }
        for kind in KINDS:
            print(f"  {kind}: {sizes[kind] / 1e6:.2f} MB, {sizes[kind] / frames / 1e3:.2f} kB a frame")


def _as_far_workers_do(home: str) -> list[Outcome]:
    from tasks.team import Alone

    place, ingredients, todo = plan(["anna"], home=home)
    done: list[Outcome] = []
    with run(Ledger(place.objects), "extract", identity="anna") as this:
        work = Work(place, ingredients, this, done.append, _raise, None)
        extract_far(work, todo, Alone(), lambda stage, frames: None)
    return done


def near(count: int) -> None:
    """Eight clips over two workers of this machine: in blocks, as it is done there, and whole."""
    with tempfile.TemporaryDirectory() as folder, open_team(2) as team:
        root = Path(folder)
        keep_consent(root / "home")
        films = [
            film(
                Script(seed=n, size=192, text="Puppets speak, and say a sentence or two."), root / f"{n}.mp4"
            )
            for n in range(8)
        ]
        ingest([one.video for one in films], "anna", home=str(root / "home")).raise_if_refused()
        print("Eight clips, two workers of this machine, seconds in blocks / whole:")
        for _ in range(3):
            told = [_carried_out(root, team, how) for how in (_share_out, extract_far)]
            print(f"  {told[0]:.1f} / {told[1]:.1f}", flush=True)


def _carried_out(root: Path, team: Any, how: Callable[..., None]) -> float:
    copy = root / "copy"
    shutil.copytree(root / "home", copy)
    place, ingredients, todo = plan(["anna"], home=str(copy))
    with run(Ledger(place.objects), "extract", identity="anna") as this:
        work = Work(place, ingredients, this, lambda outcome: None, _raise, None)
        seconds = timed(lambda: how(work, todo, team, lambda stage, frames: None))
    shutil.rmtree(copy)
    return seconds


def _raise(error: Exception) -> None:
    raise error


@contextlib.contextmanager
def _tallied(tally: Counter[str]) -> Iterator[None]:
    """Counts what s3fs asks the server, and the bytes that go and come."""
    asked = s3fs.S3FileSystem._call_s3

    async def counting(self: Any, method: str, *arguments: Any, **keywords: Any) -> Any:
        tally[method] += 1
        answer = await asked(self, method, *arguments, **keywords)
        body = keywords.get("Body", b"")
        tally["up bytes"] += len(body) if isinstance(body, bytes) else 0
        if method == "get_object":
            tally["down bytes"] += int(answer.get("ContentLength", 0))
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s3fs.S3FileSystem, "_call_s3", counting)
        yield


@contextlib.contextmanager
def _folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield folder


@contextlib.contextmanager
def _bucket() -> Iterator[str]:
    with s3.server() as address, pytest.MonkeyPatch.context() as patch:
        for name, value in s3.environment(address).items():
            patch.setenv(name, value)
        s3.forget()
        yield s3.new_bucket(address)
        s3.forget()


PARTS = (dask, ledger, flow, writers, bucket, near)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100_000)
    names = [part.__name__ for part in PARTS]
    parser.add_argument("parts", nargs="*", choices=[*names, []], default=[])
    asked = parser.parse_args()
    for part in PARTS:
        if not asked.parts or part.__name__ in asked.parts:
            part(asked.count)


if __name__ == "__main__":
    main()
