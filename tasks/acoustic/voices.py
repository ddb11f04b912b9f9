"""Synthesizers that say a sentence and tell when each sound ends: espeak-ng, and flite and festival if there.

A Speaker is one voice of one synthesizer; `said` gives sentences with the same manner (pace, pitch). Called
by `tasks.acoustic.takes` and `store`.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from storage.errors import WorkError
from tasks import speech
from tasks.acoustic.phones import ipa

__all__ = ["HELD_OUT", "HELD_OUT_TIMBRES", "Said", "Speaker", "said", "speakers"]

_PATIENCE_S = 300
# Never trained on, so that what was learned can be asked of strangers: voices of real people, and timbres.
HELD_OUT = ("ked_diphone", "czech_machac")
HELD_OUT_TIMBRES = ("m7", "f4", "Annie", "victor")


@dataclass(frozen=True)
class Speaker:
    """One voice; `share` is its part of the hours, before they are evened out."""

    engine: str
    voice: str
    language: str
    alphabet: str = ""
    encoding: str = "ascii"
    share: float = 1.0

    @property
    def name(self) -> str:
        return f"{self.engine}:{self.voice}:{self.language}"


@dataclass(frozen=True)
class Said:
    """A spoken sentence: sound between -1 and 1, and each sound's IPA symbol with the second it ends at."""

    samples: NDArray[np.float32]
    rate: int
    sounds: tuple[tuple[str, float], ...]


_ESPEAK_LANGUAGES = {
    "en-us": ("en", 3.0),
    "en-gb": ("en", 2.0),
    "en-gb-scotland": ("en", 1.0),
    "en-us-nyc": ("en", 1.0),
    "fr-fr": ("fr", 3.0),
    "de": ("de", 3.0),
    "cmn": ("cmn", 4.0),
    "es": ("es", 1.5),
    "it": ("it", 1.5),
    "pt-br": ("pt-br", 1.5),
    "ru": ("ru", 1.0),
    **{code: (code, 0.7) for code in ("nl", "sv", "pl", "cs", "tr", "fi", "hu", "ro", "ca", "id", "sw")},
    **{code: (code, 0.7) for code in ("vi", "el", "hi", "ar", "ko", "ja")},
}
_FLITE = (("awb", 5.0), ("rms", 6.0), ("slt", 6.0), ("kal16", 2.0))
_FESTIVAL = (
    Speaker("festival", "cmu_us_slt_arctic_hts", "en", "arpabet", share=4.0),
    Speaker("festival", "kal_diphone", "en", "arpabet", share=1.5),
    Speaker("festival", "ked_diphone", "en", "arpabet", share=2.0),
    Speaker("festival", "upc_ca_ona_hts", "ca", "sampa", "iso8859-15", 4.0),
    Speaker("festival", "czech_dita", "cs", "czech", "iso8859-2", 2.0),
    Speaker("festival", "czech_krb", "cs", "czech", "iso8859-2", 2.0),
    Speaker("festival", "czech_machac", "cs", "czech", "iso8859-2", 2.0),
    Speaker("festival", "czech_ph", "cs", "czech", "iso8859-2", 2.0),
    Speaker("festival", "lp_diphone", "it", "sampa", "iso8859-1", 2.5),
    Speaker("festival", "pc_diphone", "it", "sampa", "iso8859-1", 2.5),
    Speaker("festival", "suo_fi_lj_diphone", "fi", "finnish", "iso8859-1", 2.0),
    Speaker("festival", "hy_fi_mv_diphone", "fi", "finnish", "iso8859-1", 2.0),
    Speaker("festival", "msu_ru_nsh_clunits", "ru", "russian", "utf-8", 4.0),
)


def speakers(engines: Sequence[str] = ()) -> tuple[Speaker, ...]:
    """Every voice that this machine has, or those of some synthesizers."""
    found = {"espeak": _espeak_speakers, "flite": _flite_speakers, "festival": _festival_speakers}
    return tuple(voice for engine in engines or found for voice in found[engine]())


def _espeak_speakers() -> tuple[Speaker, ...]:
    known = set(speech.languages())
    return tuple(
        Speaker("espeak", code, language, share=share)
        for code, (language, share) in _ESPEAK_LANGUAGES.items()
        if code in known
    )


def _flite_speakers() -> tuple[Speaker, ...]:
    if shutil.which("flite") is None:
        return ()
    told = (
        subprocess.run(["flite", "-lv"], capture_output=True, timeout=30, check=False).stdout.decode().split()
    )
    return tuple(
        Speaker("flite", name, "en", "arpabet", share=share) for name, share in _FLITE if name in told
    )


def _festival_speakers() -> tuple[Speaker, ...]:
    if shutil.which("festival") is None:
        return ()
    told = _festival("(print (voice.list))").replace("(", " ").replace(")", " ").split()
    return tuple(speaker for speaker in _FESTIVAL if speaker.voice in told)


def said(
    speaker: Speaker, sentences: Sequence[str], draw: np.random.Generator, timbre: str | None = None
) -> list[Said]:
    """The sentences, in one manner drawn for all of them; what a synthesizer cannot say is left out."""
    if speaker.engine == "espeak":
        spoken = _say_espeak(speaker, sentences, draw, timbre or str(draw.choice(_timbres())))
        return _sound(spoken)
    say = {"flite": _say_flite, "festival": _say_festival}[speaker.engine]
    return _sound(say(speaker, sentences, draw))


def _sound(spoken: Sequence[Said]) -> list[Said]:
    return [one for one in spoken if len(one.samples) > one.rate // 4 and one.sounds]


def _say_espeak(
    speaker: Speaker, sentences: Sequence[str], draw: np.random.Generator, timbre: str
) -> list[Said]:
    voice = speech.Voice(
        speaker.voice,
        timbre,
        rate_wpm=int(draw.integers(125, 215)),
        pitch=int(draw.integers(15, 90)),
        pitch_range=int(draw.integers(25, 80)),
    )
    return [
        Said(one.samples, one.rate, tuple((p.symbol, p.end_s) for p in one.phonemes))
        for one in speech.speak_all([(text, voice) for text in sentences])
    ]


def _timbres() -> list[str]:
    unlike_people = ("whisper", "whisperf", "croak", "robosoft", "Demonic", "announcer", "fast", "klatt6")
    unwanted = (*unlike_people, *HELD_OUT_TIMBRES)
    return [variant for variant in speech.variants() if not variant.startswith(unwanted)]


def _say_flite(speaker: Speaker, sentences: Sequence[str], draw: np.random.Generator) -> list[Said]:
    stretch = f"duration_stretch={draw.uniform(0.8, 1.25):.3f}"
    return [one for text in sentences if (one := _flite_one(speaker, text, stretch))]


def _flite_one(speaker: Speaker, text: str, stretch: str) -> Said | None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "said.wav"
        command = ["flite", "-voice", speaker.voice, "--setf", stretch, "-psdur", "-t", text, "-o", str(file)]
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE_S, check=False)
        if done.returncode or not file.is_file():
            return None
        samples, rate = _wave(file.read_bytes())
    marks = [mark.rpartition(":") for mark in done.stdout.decode().split()]
    times = [float(end) for _, _, end in marks]
    if not times or times[-1] <= 0:
        return None
    # Stretched speech keeps the unstretched times: only their proportions hold.
    factor = len(samples) / rate / times[-1]
    return Said(
        samples,
        rate,
        tuple(
            (ipa(speaker.alphabet, name), end * factor)
            for (name, _, _), end in zip(marks, times, strict=True)
        ),
    )


_SCHEME = """
(define (say_one text wav lab)
  (let ((u (utt.synth (eval (list 'Utterance 'Text text)))))
    (utt.save.wave u wav 'riff)
    (let ((f (fopen lab "w")))
      (mapcar (lambda (s) (format f "%s %f\\n" (item.name s) (item.feat s 'end)))
              (utt.relation.items u 'Segment))
      (fclose f))))
"""


def _say_festival(speaker: Speaker, sentences: Sequence[str], draw: np.random.Generator) -> list[Said]:
    with tempfile.TemporaryDirectory() as folder:
        lines = [
            _SCHEME,
            f"(voice_{speaker.voice})",
            f"(Parameter.set 'Duration_Stretch {draw.uniform(0.85, 1.25):.3f})",
        ]
        for i, text in enumerate(sentences):
            plain = text.replace("\\", " ").replace('"', " ")
            lines.append(f'(say_one "{plain}" "{folder}/{i}.wav" "{folder}/{i}.lab")')
        _festival("\n".join(lines), speaker.encoding)
        return [one for i in range(len(sentences)) if (one := _festival_one(speaker, Path(folder) / str(i)))]


def _festival_one(speaker: Speaker, stem: Path) -> Said | None:
    sound, marks = stem.with_suffix(".wav"), stem.with_suffix(".lab")
    if not (sound.is_file() and marks.is_file()):
        return None
    samples, rate = _wave(sound.read_bytes())
    rows = [line.split() for line in marks.read_text("latin-1").splitlines() if len(line.split()) == 2]
    return Said(samples, rate, tuple((ipa(speaker.alphabet, name), float(end)) for name, end in rows))


def _festival(scheme: str, encoding: str = "utf-8") -> str:
    with tempfile.NamedTemporaryFile(suffix=".scm") as file:
        file.write(scheme.encode(encoding, "ignore"))
        file.flush()
        try:
            done = subprocess.run(
                ["festival", "-b", file.name], capture_output=True, timeout=_PATIENCE_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise WorkError("festival did not finish", where="speech", do="try again") from None
    return done.stdout.decode("latin-1")


def _wave(content: bytes) -> tuple[NDArray[np.float32], int]:
    with wave.open(io.BytesIO(content)) as file:
        raw = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return raw.astype(np.float32) / 32768.0, file.getframerate()
