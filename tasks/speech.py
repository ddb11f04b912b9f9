"""Speech for puppets: any text in any language of espeak-ng, as sound with the time of every phoneme.

The same (text, voice) gives the same samples whatever was spoken before: espeak-ng works in a process of
its own that starts from untouched memory for every text (`tasks._espeak` says why). Flows and tasks may
call this; `Phoneme` comes from `models.puppet` and goes back there as motion.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import espeakng_loader
import numpy as np

from models.puppet.phonetics import Phoneme
from storage.errors import RequestError, WorkError
from tasks._phonemes import phonemes_from_events

__all__ = ["Phoneme", "Speech", "Voice", "languages", "speak", "speak_all", "variants", "voice_for"]

_PROGRAM = Path(__file__).with_name("_espeak.py")
_SECONDS_FOR_ONE_TEXT = 120
_LONGEST_TEXT = 200_000
# Variants that sound like people; the wheel has robots and whisperers too.
_MEN = (
    "m1",
    "m2",
    "m3",
    "m4",
    "m5",
    "m6",
    "m7",
    "m8",
    "Alex",
    "Andy",
    "Lee",
    "Diogo",
    "Hugo",
    "victor",
    "Michael",
)
_WOMEN = ("f1", "f2", "f3", "f4", "f5", "Annie", "Andrea", "Alicia", "anika", "belinda", "linda", "steph")


@dataclass(frozen=True)
class Voice:
    """One way of speaking: espeak-ng's language and variant, words a minute, pitch (0 to 99), its range."""

    language: str = "en-us"
    variant: str = ""
    rate_wpm: int = 160
    pitch: int = 50
    pitch_range: int = 50
    volume: int = 100

    @property
    def name(self) -> str:
        """What espeak-ng calls it: the voice file, which need not be called like the language."""
        file = _voice_files().get(self.language, self.language)
        return f"{file}+{self.variant}" if self.variant else file


@dataclass(frozen=True)
class Speech:
    """Sound between -1 and 1 at `rate` a second, and what is said when."""

    samples: np.ndarray
    rate: int
    phonemes: tuple[Phoneme, ...]
    text: str
    language: str

    @property
    def duration_s(self) -> float:
        """Length of the sound."""
        return len(self.samples) / self.rate

    def with_silence(self, lead_s: float, tail_s: float) -> Speech:
        """The same speech later: with silence before and after, and times that agree."""
        lead, tail = round(lead_s * self.rate), round(tail_s * self.rate)
        shift = lead / self.rate
        moved = tuple(replace(p, start_s=p.start_s + shift, end_s=p.end_s + shift) for p in self.phonemes)
        return replace(self, samples=np.pad(self.samples, (lead, tail)), phonemes=moved)


def languages() -> tuple[str, ...]:
    """Every language and accent that the installed espeak-ng speaks, such as `en-us`."""
    return tuple(sorted(_voice_files()))


@cache
def _voice_files() -> dict[str, str]:
    """Language to voice file: several languages may share one, and espeak-ng knows the file alone."""
    root = Path(espeakng_loader.get_data_path())
    found: dict[str, str] = {}
    for file in sorted((root / "lang").rglob("*")):
        text = file.read_text("utf-8", "replace") if file.is_file() else ""
        names = re.findall(r"^language\s+(\S+)", text, re.MULTILINE)
        own = re.search(r"^dictionary\s+(\S+)", text, re.MULTILINE)
        dictionary = own.group(1) if own else file.name.split("-")[0].lower()
        # The wheel has voices without their dictionary: they fail or stay silent.
        if names and (root / f"{dictionary}_dict").exists():
            found.update({name.lower(): file.name for name in names if name.lower() not in found})
    return found


@cache
def variants() -> tuple[str, ...]:
    """Every timbre that can be put on any language, such as `m3` or `Annie`."""
    folder = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    return tuple(sorted(file.name for file in folder.iterdir() if file.is_file()))


def voice_for(seed: int, description: Mapping[str, Any] | None = None, language: str = "en-us") -> Voice:
    """A voice for an identity: its sex and age where `description` tells, the rest drawn from the seed."""
    traits = dict(description or {})
    draw = np.random.default_rng([seed, 0x50EE])
    sex = str(traits.get("sex", "")).lower()[:1] or str(draw.choice(["f", "m"]))
    female, age = sex in ("f", "w"), _age(traits.get("age"))
    variant = str(draw.choice(_WOMEN if female else _MEN))
    slower, lower = 24.0 * max(0.0, age - 0.5), 14.0 * (age - 0.4)
    return Voice(
        language,
        variant,
        rate_wpm=round(float(draw.uniform(142, 182)) - slower),
        pitch=round(float(np.clip(draw.uniform(42, 66) if female else draw.uniform(30, 58), 0, 99)) - lower),
        pitch_range=round(float(draw.uniform(40, 68))),
    )


def _age(age: Any) -> float:
    """Age as 0 (young) to 1 (old), from a number of years, a fraction or a word."""
    if isinstance(age, (int, float)):
        return float(np.clip(age if age <= 1 else (age - 18) / 60, 0.0, 1.0))
    return {"child": 0.0, "young": 0.1, "old": 0.9, "elderly": 1.0}.get(str(age).lower(), 0.4)


def speak(text: str, voice: Voice | None = None) -> Speech:
    """Say `text`; an empty text, or one with nothing to say in it, is a RequestError."""
    return speak_all([(text, voice or Voice())])[0]


def speak_all(requests: Iterable[tuple[str, Voice]]) -> list[Speech]:
    """Say many texts, each exactly as `speak` would; one process serves them all."""
    wanted = [(_clean(text), _checked(voice)) for text, voice in requests]
    if not wanted:
        return []
    program = [sys.executable, "-P", str(_PROGRAM)]
    lines = "".join(
        json.dumps({**asdict(voice), "voice": voice.name, "text": text}) + "\n" for text, voice in wanted
    )
    try:
        done = subprocess.run(
            program,
            input=lines.encode(),
            capture_output=True,
            timeout=_SECONDS_FOR_ONE_TEXT * len(wanted),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise WorkError("espeak-ng did not finish", where="speech", do="try a shorter text") from None
    if done.returncode != 0:
        raise WorkError(
            f"espeak-ng failed: {done.stderr.decode(errors='replace').strip()[-200:]}", where="speech"
        )
    return _read_answers(done.stdout, wanted)


def _read_answers(answers: bytes, wanted: Sequence[tuple[str, Voice]]) -> list[Speech]:
    stream = BytesIO(answers)
    return [_speech(json.loads(stream.readline()), stream, text, voice) for text, voice in wanted]


def _speech(header: dict[str, Any], stream: IO[bytes], text: str, voice: Voice) -> Speech:
    if "error" in header:
        raise WorkError(header["error"], where=f"text {text[:40]!r}")
    sound = np.frombuffer(stream.read(header["bytes"]), "<i2").astype(np.float32) / 32768.0
    phonemes = phonemes_from_events(header["events"], sound, header["rate"])
    if all(p.silent for p in phonemes):
        raise RequestError("nothing in the text can be spoken", where=f"text {text[:40]!r}", do="add words")
    return Speech(sound, header["rate"], phonemes, text, voice.language)


def _clean(text: str) -> str:
    cleaned = "".join(c if c.isprintable() else " " for c in text).strip()
    if not any(c.isalnum() for c in cleaned):
        raise RequestError(
            "there is nothing to say", where=f"text {text[:40]!r}", do="give a text with words in it"
        )
    if len(cleaned) > _LONGEST_TEXT:
        what = f"a text of {len(cleaned)} characters is longer than {_LONGEST_TEXT}"
        raise RequestError(what, where="text", do="split it into several")
    return cleaned


def _checked(voice: Voice) -> Voice:
    if voice.language not in languages():
        raise RequestError(
            f"unknown language {voice.language!r}", where="voice", do=_some(languages(), voice.language)
        )
    if voice.variant and voice.variant not in variants():
        raise RequestError(
            f"unknown variant {voice.variant!r}", where="voice", do=_some(variants(), "m1 f1 Annie")
        )
    limits = {"rate_wpm": (80, 450), "pitch": (0, 99), "pitch_range": (0, 99), "volume": (1, 200)}
    for name, (low, high) in limits.items():
        value = getattr(voice, name)
        if not isinstance(value, int) or not low <= value <= high:
            raise RequestError(
                f"{name} is {value!r}", where="voice", do=f"use a whole number from {low} to {high}"
            )
    return voice


def _some(names: Sequence[str], near: str) -> str:
    alike = [name for name in names if name[:2] in near] or ["en-us", "en-gb", "fr-fr", "de", "es", "cmn"]
    return f"use one of {len(names)}, such as {', '.join(alike[:6])}"
