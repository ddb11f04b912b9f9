"""`memdub dub` and `memdub verify`: whole films, refusals that leave nothing, and kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from flows.cli.dub import dub as dub_command
from flows.cli.main import COMMANDS
from flows.cli.verify import verify as verify_command
from flows.dub import Dubbed, dub, plan
from flows.ingest import ingest
from flows.verify import verify
from models import methods
from storage.artifacts import DRAFT, find
from storage.errors import ConsentError, MediaError, RequestError
from storage.home import Home
from storage.ledger import Ledger, lineage_of
from storage.media import VideoReader, probe
from storage.runs import record_failure, run
from tasks.credentials import credentials_of
from tasks.dubbing.stage import DubOptions
from tests.flows.conftest import Shell, everything_in
from tests.helpers import painted
from tests.helpers.footage import RECORD, film, keep_consent
from tests.helpers.material_home import FRAMES, SCOPE, features_in, material_home
from tests.helpers.painted import SIDE, wav
from tests.storage.conftest import s3_server, s3_url

__all__ = ["s3_server", "s3_url"]

PAINTED = DubOptions(painted.NAME)


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own method, and the commands, wherever they are registered."""
    monkeypatch.setitem(methods.METHODS, painted.NAME, f"{painted.__name__}:Painted")
    monkeypatch.setitem(COMMANDS, "dub", dub_command.callback.__module__)
    monkeypatch.setitem(COMMANDS, "verify", verify_command.callback.__module__)


@pytest.fixture
def person(tmp_path: Path) -> Home:
    return material_home(tmp_path / "home")


def made(home: Home, audio: Path, name: str = "out.mp4", **options: object) -> Dubbed:
    asked = DubOptions(painted.NAME, **options)  # type: ignore[arg-type]
    return dub("anna", audio, audio.with_name(name), options=asked, home=home.url)


def coded(path: Path) -> list[bytes]:
    """The pictures as they are coded: what must be the same for the same recipe."""
    with av.open(str(path)) as film:
        return [bytes(packet) for packet in film.demux(film.streams.video[0]) if packet.size]


@pytest.mark.parametrize(
    ("seconds", "sound_rate", "channels", "rate"),
    [(0.2, 16_000, 1, 25), (3.7, 48_000, 2, 25), (3.7, 11_025, 1, 30), (7.03, 96_000, 1, 24)],
)
def test_it_lasts_as_long_as_the_speech(
    tmp_path: Path, seconds: float, sound_rate: int, channels: int, rate: int
) -> None:
    home = material_home(tmp_path / "home", rate=rate)
    done = made(home, wav(tmp_path / "a.wav", seconds, rate=sound_rate, channels=channels))
    found = probe(done.path)
    assert found.video is not None
    assert found.audio is not None
    assert abs(found.video.duration_s - seconds) <= 1 / rate
    assert abs(found.audio.duration_s - seconds) <= 1 / rate
    assert (found.video.rate, found.video.display_size) == (rate, (160, 120))
    assert (found.video.codec, found.audio.codec) == ("h264", "aac")
    assert found.audio.channels == channels
    assert found.defects == ()
    assert (FRAMES / rate < seconds) == any("back and forth" in line for line in done.warnings)


def test_the_ledger_knows_where_it_came_from(person: Home, tmp_path: Path, memdub: Shell) -> None:
    done = made(person, wav(tmp_path / "a.wav", 1.0))
    ledger = Ledger(person.objects)
    tree = lineage_of(ledger, f"sha256:{done.sha256}")
    dub_node = tree.children[0]
    assert (dub_node.id, dub_node.kind) == (done.dub.id, "dub")
    roles = {child.role for child in dub_node.children}
    assert roles == {"template", "template features", "speech"}
    figures = {
        r["metric"]: r["value"] for r in ledger.rows("metrics").to_pylist() if r["artifact"] == done.dub.id
    }
    assert figures["dub_frames"] == 25
    found = verify(done.path, home=person.url)
    assert found.holds
    assert found.known is not None
    assert found.known["id"] == done.dub.id
    assert found.examined is not None
    assert found.examined.made_by_model
    assert found.examined.claim["recipe"] == done.dub.id
    assert memdub("verify", done.path, "--json") == 0
    assert json.loads(memdub.out)["files"][0]["artifact"]["id"] == done.dub.id


def test_the_same_recipe_is_the_same_film(person: Home, tmp_path: Path) -> None:
    audio = wav(tmp_path / "a.wav", 2.5)
    first = made(person, audio)
    again = made(person, audio, "again.mp4")
    assert again.dub.reused
    assert again.path.read_bytes() == first.path.read_bytes()
    # In another home nothing is found: it is drawn anew, to the same bytes, by more threads.
    other = material_home(tmp_path / "other")
    anew = dub("anna", audio, tmp_path / "anew.mp4", options=PAINTED, home=other.url, workers=3)
    assert not anew.dub.reused
    assert anew.dub.id == first.dub.id
    assert coded(anew.path) == coded(first.path)


def test_without_loss_only_the_mouth_differs_from_the_clip(person: Home, tmp_path: Path) -> None:
    done = made(person, wav(tmp_path / "a.wav", 1.0), lossless=True)
    clip = find(Ledger(person.objects), done.told["template"])
    assert clip is not None
    [video] = person.path(clip.uri).glob("*.mp4")
    got = np.stack(list(VideoReader(done.path, form="yuv420p")))
    own = np.stack(list(VideoReader(video, form="yuv420p").read(0, len(got))))
    changed = np.argwhere((got != own)[:, : got.shape[1] * 2 // 3].any(0))
    # The disc that is drawn there, in the middle of 160 x 120, and not a pixel more.
    assert changed.min(0).tolist() >= [60 - SIDE // 2, 80 - SIDE // 2]
    assert changed.max(0).tolist() < [60 + SIDE // 2, 80 + SIDE // 2]
    assert len(changed) > SIDE**2 / 4


def test_a_seed_or_template_is_another_recipe(person: Home, tmp_path: Path) -> None:
    audio = wav(tmp_path / "a.wav", 0.5)
    clip = str(made(person, audio).told["template"])
    ids = {
        made(person, audio).dub.id,
        made(person, audio, seed=1).dub.id,
        made(person, audio, lossless=True).dub.id,
        made(person, audio, template=clip).dub.id,
    }
    # The clip that is chosen anyway is no other one.
    assert len(ids) == 3
    with pytest.raises(RequestError, match="no clip of this person"):
        made(person, audio, template="clip-ffff")


def test_without_a_name_it_is_in_the_home(person: Home, tmp_path: Path) -> None:
    done = dub("anna", wav(tmp_path / "my speech.wav", 0.4), options=PAINTED, home=person.url)
    assert done.path.parent == person.path("out")
    assert done.path.name.startswith("anna-my_speech-")


def test_a_person_without_consent_is_not_touched(person: Home, tmp_path: Path, memdub: Shell) -> None:
    audio, out = wav(tmp_path / "a.wav", 0.5), tmp_path / "out.mp4"
    keep_consent(tmp_path / "home", "anna", '["ingest", "train"]')
    before = everything_in(tmp_path / "home")
    assert memdub("dub", "anna", audio, "-o", out, "--method", painted.NAME) == 2
    assert "not dub" in memdub.err
    assert memdub.err.count("\n") == 1
    assert not out.exists()
    assert everything_in(tmp_path / "home") == before
    keep_consent(tmp_path / "home", "anna", SCOPE, expires="2020-06-01")
    with pytest.raises(ConsentError, match="expired"):
        made(person, audio)
    with pytest.raises(ConsentError):
        plan("bert", audio, options=PAINTED, home=person.url)
    assert everything_in(tmp_path / "home") == before


@pytest.mark.parametrize(
    "case", ["silent", "missing", "broken", "suffix", "folder", "itself", "method", "preset"]
)
def test_wrong_requests_are_one_line_and_leave_nothing(
    person: Home, tmp_path: Path, memdub: Shell, case: str
) -> None:
    audio, out = wav(tmp_path / "a.wav", 1.0), tmp_path / "out.mp4"
    words: list[object] = ["--method", painted.NAME]
    if case == "missing":
        audio = tmp_path / "nothing.wav"
    elif case == "broken":
        audio.write_bytes(b"RIFF" + b"x" * 400)
    elif case == "silent":
        wav(audio, 1.0, gain=0.0)
    elif case == "suffix":
        out = tmp_path / "out.avi"
    elif case == "folder":
        out = tmp_path / "nowhere" / "out.mp4"
    elif case == "itself":
        out = audio = audio.rename(tmp_path / "a.mp4")
    elif case == "method":
        words = ["--method", "magic"]
    else:
        words += ["--preset", "enormous"]
    before = everything_in(tmp_path / "home")
    assert memdub("dub", "anna", audio, "-o", out, *words) == 2
    lines = [line for line in memdub.err.splitlines() if not line.startswith("template ")]
    assert len(lines) == 1, memdub.err
    assert "Traceback" not in memdub.err
    left = {name for name in everything_in(tmp_path / "home") - before if not name.startswith("keys/")}
    assert left == set()
    assert case == "itself" or not out.exists()


def test_a_plan_makes_nothing(person: Home, tmp_path: Path, memdub: Shell) -> None:
    audio = wav(tmp_path / "a.wav", 0.5)
    before = everything_in(tmp_path / "home")
    assert memdub("dub", "anna", audio, "--method", painted.NAME, "--dry-run", "--json") == 0
    steps = {one["step"]: one for one in json.loads(memdub.out)["steps"]}
    assert steps["extract"]["done"]
    assert not steps["dub"]["done"]
    assert everything_in(tmp_path / "home") == before
    done = made(person, audio)
    assert memdub("dub", "anna", audio, "--method", painted.NAME, "--dry-run") == 0
    assert done.dub.id in memdub.out


def test_what_verify_says(person: Home, tmp_path: Path, memdub: Shell) -> None:
    done = made(person, wav(tmp_path / "a.wav", 0.5))
    assert memdub("verify", done.path) == 0
    assert done.dub.id in memdub.out
    assert "signature and bytes hold" in memdub.out
    changed = bytearray(done.path.read_bytes())
    changed[len(changed) // 2] ^= 1
    (tmp_path / "changed.mp4").write_bytes(changed)
    assert memdub("verify", tmp_path / "changed.mp4") == 1
    assert "does not hold" in memdub.err
    assert memdub.err.count("\n") == 1
    assert memdub("verify", tmp_path / "a.wav") == 1
    assert "no manifest" in memdub.err
    assert memdub("verify", tmp_path / "nothing") == 2
    assert memdub("verify", tmp_path) == 2
    # Elsewhere the file still tells what it is; only nobody there knows it.
    found = verify(done.path, home=str(tmp_path / "elsewhere"))
    assert found.holds
    assert found.known is None
    assert not (tmp_path / "elsewhere").exists()


def test_a_clip_that_was_refused_stops_nothing(person: Home, tmp_path: Path) -> None:
    audio = wav(tmp_path / "a.wav", 0.5)
    faceless = ingest([film(tmp_path / "faceless.mp4", seed=5)], "anna", home=person.url).clips[0]
    assert not plan("anna", audio, options=PAINTED, home=person.url)[0].done
    ledger = Ledger(person.objects)
    with run(ledger, "extract", identity="anna") as this:
        error = MediaError("no face in any frame", where="faceless.mp4")
        record_failure(ledger, this, stage="extract", subject=faceless.id, error=error, identity="anna")
    assert plan("anna", audio, options=PAINTED, home=person.url)[0].done
    assert made(person, audio).told["template"] != faceless.id


def test_a_template_without_a_face_is_refused(tmp_path: Path) -> None:
    away = np.tile([0.0, 1.4, 0.0], (FRAMES, 1))
    home = material_home(tmp_path / "home", fit__rotation=away)
    with pytest.raises(MediaError, match="no clip shows a face from the front"):
        made(home, wav(tmp_path / "a.wav", 0.5))


def test_a_home_in_a_bucket(
    tmp_path: Path, s3_url: str, memdub: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMDUB_HOME", f"{s3_url}/dubbed")
    (tmp_path / "anna.toml").write_text(RECORD.format(scope=SCOPE, expires="2999-01-01"))
    video = film(tmp_path / "clip.mp4", seconds=FRAMES / 25, size=(160, 120))
    assert memdub("ingest", video, "--identity", "anna", "--consent", tmp_path / "anna.toml") == 0
    home = Home(f"{s3_url}/dubbed")
    clip = find(Ledger(home.objects), memdub.out.split()[0])
    assert clip is not None
    features_in(home, clip, FRAMES, 25, {})
    words = ["dub", "anna", wav(tmp_path / "a.wav", 0.5), "--method", painted.NAME]
    assert memdub(*words, "-o", tmp_path / "out.mp4") == 2
    assert "no place for a private key" in memdub.err
    theirs = credentials_of(Home(tmp_path / "elsewhere"))
    for name, content in (("certificate", theirs.chain), ("key", theirs.key)):
        (tmp_path / name).write_bytes(content)
        monkeypatch.setenv(f"MEMDUB_C2PA_{name.upper()}", str(tmp_path / name))
    assert memdub(*words) == 2
    assert "name a file with -o" in memdub.err
    assert memdub(*words, "-o", tmp_path / "out.mp4") == 0, memdub.err
    assert memdub("verify", tmp_path / "out.mp4") == 0
    assert "in this home's ledger: dub-" in memdub.out
    assert memdub("evaluate", "anna", "--methods", painted.NAME) == 0, memdub.err
    assert memdub.out.rstrip().endswith("/mouths.jpg")
    assert not list(home.workspace_root().iterdir()), "somebody's speech stays behind"


CHILD = """
import sys
from tests.helpers import painted
painted.register()
from flows.dub import dub
from tasks.credentials import credentials_of
from tasks.dubbing.stage import DubOptions
dub("anna", sys.argv[1], sys.argv[2], options=DubOptions(painted.NAME), home=sys.argv[3], workers=1)
"""


def start(audio: Path, out: Path, home: Home, halt: int) -> subprocess.Popen[bytes]:
    """A dub in a process of its own, which stands still when it comes to this frame of the template."""
    command = [sys.executable, "-c", CHILD, str(audio), str(out), home.url]
    environment = {**os.environ, "PAINTED_HALT": str(halt)}
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)


def pieces_of(home: Home) -> dict[str, int]:
    found = home.workspace_root().glob(f"dub-*{DRAFT}/pieces/piece-*.mp4")
    return {path.name: path.stat().st_ino for path in found}


def test_killed_it_goes_on_and_ends_the_same(person: Home, tmp_path: Path) -> None:
    audio = wav(tmp_path / "a.wav", 5.0)
    # Pieces are of 25 frames; two are finished before the third is begun.
    running = start(audio, tmp_path / "out.mp4", person, halt=60)
    deadline = time.monotonic() + 120
    while len(pieces_of(person)) < 2:
        assert running.poll() is None, "it ended"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    kept = pieces_of(person)
    assert not (tmp_path / "out.mp4").exists()
    assert Ledger(person.objects).rows("artifacts").to_pandas()["kind"].tolist().count("dub") == 0
    seen: dict[str, int] = {}

    def watch(*_: object) -> object:
        import contextlib

        @contextlib.contextmanager
        def bar():  # type: ignore[no-untyped-def]
            yield lambda done, of: seen.update(pieces_of(person))

        return bar()

    done = dub("anna", audio, tmp_path / "out.mp4", options=PAINTED, home=person.url, watch=watch)  # type: ignore[arg-type]
    assert {name: seen[name] for name in kept} == kept, "finished pieces were drawn again"
    other = material_home(tmp_path / "other")
    straight = dub("anna", audio, tmp_path / "straight.mp4", options=PAINTED, home=other.url)
    assert coded(done.path) == coded(straight.path)
    assert not list(person.workspace_root().glob("dub-*")), "the draft stays behind"
    assert verify(done.path, home=person.url).holds


SHELL = """
import sys
from tests.helpers import painted
painted.register()
from flows.cli.main import COMMANDS, main
COMMANDS["dub"] = "flows.cli.dub"
main(sys.argv[1:])
"""


def test_interrupted_it_stops_at_once_and_says_one_line(person: Home, tmp_path: Path) -> None:
    audio, out = wav(tmp_path / "a.wav", 240.0), tmp_path / "out.mp4"
    words = ["dub", "anna", str(audio), "-o", str(out), "--method", painted.NAME]
    environment = {**os.environ, "MEMDUB_HOME": person.url}
    command = [sys.executable, "-c", SHELL, *words]
    running = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not pieces_of(person):
        assert running.poll() is None, "it ended"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)[1].splitlines()
    assert running.returncode == 130
    assert [line for line in said if "interrupted" in line] == said[-1:]
    assert "Traceback" not in "".join(said)
    assert not out.exists()
    assert 0 < len(pieces_of(person)) < 60, "what is finished is kept"
    assert Ledger(person.objects).rows("runs").to_pylist()[-1]["status"] == "interrupted"
