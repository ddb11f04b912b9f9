import hashlib
import multiprocessing
import os
import signal

import pytest

from storage import clips
from tests.storage import s3
from tests.storage.clip_helpers import (
    NAMES,
    read_all,
    specs,
    values,
    write_region,
    write_together,
    write_until_killed,
)

LONG = 4 * 256 - 100


def sums(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def by_four(pool, draft, environment=None):
    regions = draft.regions(*NAMES)
    assert len(regions) == 4
    jobs = [pool.submit(write_together, draft, region, environment) for region in regions]
    # Each waits for the other three before its first write: all four write at once.
    assert len({job.result() for job in jobs}) == 4


def test_four_processes_leave_the_bytes_that_one_leaves(tmp_path, four_processes):
    four = clips.create(tmp_path / "four.zarr", specs(frames=LONG), {})
    by_four(four_processes, four)
    clip = four.finish()
    one = clips.create(tmp_path / "one.zarr", specs(frames=LONG), {})
    for region in one.regions(*NAMES):
        write_region(one, region)
    one.finish()
    assert sums(tmp_path / "four.zarr") == sums(tmp_path / "one.zarr")
    read = four_processes.submit(read_all, str(tmp_path / "four.zarr")).result()
    for name in NAMES:
        assert read[name] == values(name, clip.array(name).shape).tobytes()


def test_four_processes_write_one_clip_in_a_bucket(s3_url, s3_server, four_processes):
    environment = s3.environment(s3_server)
    url = f"{s3_url}/stores/clip.zarr"
    draft = clips.create(url, specs(frames=LONG), {})
    assert set(draft.gaps()) == set(NAMES)
    by_four(four_processes, draft, environment)
    assert draft.gaps() == {}
    clip = draft.finish()
    read = four_processes.submit(read_all, url, environment).result()
    for name in NAMES:
        assert read[name] == values(name, clip.array(name).shape).tobytes()


def test_a_killed_writer_leaves_only_whole_shards(tmp_path):
    draft = clips.create(tmp_path / "clip.zarr", specs(frames=LONG), {}, token="run")
    name = "track/landmarks"
    worker = multiprocessing.get_context("spawn").Process(target=write_until_killed, args=(draft, name, 2))
    worker.start()
    worker.join(60)
    assert worker.exitcode == -signal.SIGKILL
    left = [path.name for path in draft.place.local.rglob("*.partial")]
    assert len(left) == 1, "the kill was to come while a shard was being put in its place"
    resumed = clips.create(tmp_path / "clip.zarr", specs(frames=LONG), {}, token="run")
    assert resumed.missing(name) == [(512, 768), (768, LONG)]
    for each in NAMES:
        for start, stop in resumed.missing(each):
            resumed.write(each, start, values(each, resumed.array(each).shape)[start:stop])
    clip = resumed.finish()
    assert clip.read(name).tobytes() == values(name, clip.array(name).shape).tobytes()
    assert not list((tmp_path / "clip.zarr").rglob("*.partial"))


def test_a_forked_reader_does_not_hang(tmp_path):
    draft = clips.create(tmp_path / "clip.zarr", specs(), {})
    for region in draft.regions(*NAMES):
        write_region(draft, region)
    clip = draft.finish()
    assert clip.read("track/pose").shape == (600, 6)
    child = os.fork()
    if child == 0:
        os._exit(0 if len(clip.read("video/crop")) == 600 else 1)
    timer = multiprocessing.get_context("spawn").Event()
    for _ in range(300):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        timer.wait(0.1)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        pytest.fail("the forked reader hung")
    assert os.waitstatus_to_exitcode(status) == 0
