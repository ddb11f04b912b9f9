"""How fast a dub is made, everything included, and how much memory it takes: `python -m tests.bench.dubbing`.

    --home HOME --identity NAME    dub someone who is there; else the senator, or a puppet without footage
    --method M --preset P          may be repeated: --method nearest --method memface
    --long SECONDS                 the longer speech that memory is measured with (600)

Every dub is made by a process of its own. Frames a second count from the sound file to the signed film, after
imports; what is missing before a dub (features, memory, training) is made before and not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np

from storage.home import Home
from tests.bench.footage import real_footage
from tests.helpers.footage import keep_consent

_SCOPE = '["ingest", "train", "dub"]'
_SHORT_S = 10.0
_CHILD = "--child"


def main() -> None:
    if sys.argv[1:2] == [_CHILD]:
        print(json.dumps(_dub(**json.loads(sys.argv[2]))))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home")
    parser.add_argument("--identity", default="speaker")
    parser.add_argument("--method", action="append")
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--long", type=float, default=600.0)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = told.home or home_of(Path(folder) / "home", told.identity)
        for method in told.method or ["nearest"]:
            _measure(Path(folder), home, told.identity, method, told.preset, told.long)


def _measure(folder: Path, home: str, identity: str, method: str, preset: str, long_s: float) -> None:
    asked = {"home": home, "identity": identity, "method": method, "preset": preset}
    _child({**asked, "audio": str(speech(folder / "before.wav", 1.0)), "out": str(folder / "before.mp4")})
    print(f"\n{method} ({preset}), {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}:")
    found = {}
    for seconds in (_SHORT_S, long_s):
        audio = speech(folder / f"{seconds:.0f}.wav", seconds)
        found[seconds] = one = _child({**asked, "audio": str(audio), "out": str(folder / "out.mp4")})
        print(
            f"  {seconds:4.0f} s of speech: {one['frames'] / one['wall']:5.1f} frames a second at "
            f"{one['size'][0]}x{one['size'][1]}, peak memory {one['peak_mb']:.0f} MB"
        )
        total = sum(one["parts"].values())
        parts = sorted(one["parts"].items(), key=lambda pair: -pair[1])
        told = ", ".join(f"{name} {100 * seconds / total:.0f} %" for name, seconds in parts)
        print(f"         of the threads' time: {told}")
    ratio = found[long_s]["peak_mb"] / found[_SHORT_S]["peak_mb"]
    print(f"  memory of {long_s:.0f} s against {_SHORT_S:.0f} s: {ratio:.2f}")


def _child(asked: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.dubbing", _CHILD, json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _dub(home: str, identity: str, method: str, preset: str, audio: str, out: str) -> dict[str, Any]:
    import resource

    import tasks.dubbing.stage
    import tasks.remember
    from flows.dub import dub

    # Another seed is another recipe: nothing may be found that was made before.
    options = tasks.dubbing.stage.DubOptions(method, preset, seed=time.time_ns() % 2**31)
    begun = time.perf_counter()
    made = dub(identity, audio, out, options=options, home=home)
    return {
        "wall": time.perf_counter() - begun,
        "frames": made.told["frames"],
        "size": made.told["size"],
        "parts": made.seconds_by_part,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


def home_of(root: Path, identity: str) -> str:
    """Somebody at 256x256, extracted."""
    from flows.extract import extract
    from flows.ingest import ingest

    keep_consent(root, identity, _SCOPE)
    footage = real_footage()
    if footage is not None:
        video = footage / "video" / "senator_60s_256.mp4"
    else:
        from tasks.film import Script, film

        video = film(Script(1, " ".join(["Good morning to all of you."] * 12)), root.parent / "puppet").video
    ingest([video], identity, home=str(root))
    extract([identity], home=str(root)).raise_if_refused()
    return Home(root).url


def speech(path: Path, seconds: float) -> Path:
    """Real speech over and over where there is footage, else a hum that swells."""
    footage = real_footage()
    if footage is not None:
        from storage.media import read_sound

        once = read_sound(footage / "audio" / "english_8s.wav", 16_000)
    else:
        t = np.arange(8 * 16_000) / 16_000
        once = (0.2 * np.sin(2 * np.pi * 150 * t) * (1 + np.sin(2 * np.pi * 3 * t))).astype(np.float32)
    left, coded = round(seconds * 16_000), (np.clip(once, -1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", "none"))
        # Piece by piece: what is measured is not this.
        while left > 0:
            file.writeframes(coded[:left].tobytes())
            left -= len(coded)
    return path


if __name__ == "__main__":
    main()
