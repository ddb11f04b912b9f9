"""Audio's figures on one core: speed, memory for an hour, and how well voice is told from silence.

python -m tests.bench.audio            (OMP_NUM_THREADS=1 for one core)

The official DeepSpeech model is not at hand: its speed is that of a model of its signature, size (47 MB) and
kind of weights (8 bits), whose answers mean nothing. Voice activity was fitted on other voices of the
same synthesiser and on the same kinds of noise.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import librosa
import numpy as np

from models.audio import RATE, activity, log_mel, loudness, mfcc, run, voice_cues
from storage.errors import WeightsError
from tasks.audio import AudioBackend, DeepSpeechBackend, features_of, find_backend
from tasks.speech import Voice, speak_all
from tests.helpers.tflite_model import DeepSpeechShape, write_deepspeech

OFFICIAL = DeepSpeechShape(state=2048, deeper=3, small_weights=True)
TEXTS = (
    ("The harbour was quiet. Two boats came in late, and nobody went down to meet them.", "en-us"),
    ("Perhaps you are right. But then, who wrote the letter? I cannot say; you must ask him.", "en-gb"),
    ("Il fait beau aujourd'hui. Nous allons marcher, puis nous mangerons chez ma soeur.", "fr-fr"),
)


def blocks(seconds: float) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    for _ in range(round(seconds)):
        yield (rng.standard_normal(RATE) * 0.05).astype(np.float32)


def timed(seconds: float, work: Callable[[], object]) -> float:
    """Times faster than real time, the better of two."""
    best = 0.0
    for _ in range(2):
        begun = time.perf_counter()
        work()
        best = max(best, seconds / (time.perf_counter() - begun))
    return best


def backends(folder: Path) -> Iterator[tuple[str, AudioBackend, float]]:
    yield "a small .tflite", DeepSpeechBackend(write_deepspeech(folder / "small.tflite")), 60.0
    official = write_deepspeech(folder / "official.tflite", OFFICIAL)
    yield f"a .tflite of {official.stat().st_size / 1e6:.0f} MB", DeepSpeechBackend(official), 30.0
    try:
        yield "embedded", find_backend("embedded"), 60.0
    except WeightsError as error:
        print(f"  embedded: {error}")


def speed(folder: Path) -> None:
    print("Times faster than real time:")
    for name, stream in (("MFCC", mfcc), ("log-mel", log_mel), ("loudness", loudness), ("voice", voice_cues)):
        print(f"  {name}: {timed(120, lambda make=stream: run(make(), blocks(120))):.0f}")
    for name, backend, seconds in backends(folder):
        got = timed(seconds, lambda b=backend, s=seconds: features_of(blocks(s), b))
        print(f"  all features, log-probabilities by {name}: {got:.0f}")


def hour(path: str) -> None:
    """In a process of its own: the peak of this one."""
    features = features_of(blocks(3600), DeepSpeechBackend(Path(path)))
    size = sum(values.nbytes for values in features.arrays().values()) / 1e6
    # Not ru_maxrss: a child begins with the peak of the process that started it.
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1e3
    print(f"An hour's features: {size:.0f} MB; most memory in use: {peak:.0f} MB")


def noises(samples: int) -> dict[str, np.ndarray]:
    rng, t = np.random.default_rng(5), np.arange(samples) / RATE
    shape = np.maximum(np.fft.rfftfreq(samples, 1 / RATE), 30)
    chords = [110.0 * 2 ** (step / 12) for step in (0, 4, 7, 12)]
    notes = sum(np.sin(2 * np.pi * f * h * t) / h for f in chords for h in range(1, 6))
    return {
        "white": rng.standard_normal(samples),
        "pink": np.fft.irfft(np.fft.rfft(rng.standard_normal(samples)) / np.sqrt(shape), samples),
        "hum": sum(np.sin(2 * np.pi * 50 * h * t) / h for h in range(1, 9)),
        "music": notes * np.exp(-3 * (t % 0.5)),
    }


def spoken() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    voices = [
        (text, Voice(language, variant)) for text, language in TEXTS for variant in ("m2", "steph", "victor")
    ]
    for speech in speak_all(voices):
        padded = speech.with_silence(0.6, 0.6)
        sound = librosa.resample(padded.samples, orig_sr=padded.rate, target_sr=RATE)
        said = np.zeros(-(-len(sound) // 320), bool)
        for phoneme in padded.phonemes:
            if not phoneme.silent:
                said[int(phoneme.start_s * 50) : int(phoneme.end_s * 50) + 1] = True
        yield sound, said


def voice() -> None:
    print("Voice activity, shares told rightly (silence: from 0.14 s after speech on):")
    told: dict[str, list[np.ndarray]] = {}
    for sound, said in spoken():
        power = np.mean(sound[np.repeat(said, 320)[: len(sound)]] ** 2)
        mixed = {"clean": sound}
        for name, noise in noises(len(sound)).items():
            for ratio in (20, 10):
                scale = np.sqrt(power / np.mean(noise**2) / 10 ** (ratio / 10))
                mixed[f"{name} at {ratio} dB"] = sound + noise * scale
        silent = np.convolve(said, np.ones(7))[: len(said)] == 0
        for name, heard in mixed.items():
            found = activity(run(voice_cues(), [heard])) > 0.5
            told.setdefault(name, []).append(np.array([found[said].mean(), 1 - found[silent].mean()]))
    for name, shares in told.items():
        speech, silence = np.mean(shares, 0)
        print(f"  {name}: speech {speech:.3f}, silence {silence:.3f}")


def main() -> None:
    if len(sys.argv) > 2 and sys.argv[1] == "hour":
        hour(sys.argv[2])
        return
    with tempfile.TemporaryDirectory() as name:
        speed(Path(name))
        small = write_deepspeech(Path(name) / "small.tflite")
        subprocess.run([sys.executable, "-m", "tests.bench.audio", "hour", str(small)], check=True)
    voice()


if __name__ == "__main__":
    main()
