# ruff: noqa: RUF001 - letters of the phonetic alphabet look like others on purpose
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest

from models.puppet.expression import INDEX
from models.puppet.performance import perform
from models.puppet.phonetics import letters
from models.puppet.texts import ENGLISH_40_S, OTHER_LANGUAGES
from models.puppet.visemes import GRID_RATE, aperture, mouth_curves
from storage.errors import RequestError
from tasks.speech import Voice, languages, speak, speak_all, variants, voice_for

HELLO = {
    "en-us": "My baby wove a choice fur, and five people saw it.",
    "en-gb": "My baby wove a choice fur, and five people saw it.",
    "fr": "Bonjour, un petit peu de vin pour ma mère.",
    "de": "Guten Tag, fünf schöne Pfützen im Garten.",
    "es": "Buenos días, ¿qué tal? Vamos a beber agua.",
    "cmn": "你好，世界。妈妈买了苹果。",
    "ru": "Привет, мама купила молоко и хлеб.",
    "ar": "مرحبا بالعالم، كيف حالك اليوم؟",
    "hi": "नमस्ते दुनिया, आप कैसे हैं?",
    "ja": "こんにちは、おはようございます。",
}


@pytest.fixture(scope="module")
def spoken():
    return dict(
        zip(HELLO, speak_all([(text, Voice(language)) for language, text in HELLO.items()]), strict=True)
    )


def level(speech, start_s: float, end_s: float) -> float:
    part = speech.samples[round(start_s * speech.rate) : round(end_s * speech.rate)]
    return float(np.sqrt(np.mean(part**2))) if len(part) else 0.0


@pytest.mark.parametrize("language", HELLO)
def test_languages_give_sound_and_phonemes_without_gaps(spoken, language):
    speech = spoken[language]
    assert speech.rate == 22050
    assert speech.samples.dtype == np.float32
    assert 0.05 < np.abs(speech.samples).max() <= 1.0
    phonemes = speech.phonemes
    assert phonemes[0].start_s == 0.0
    assert phonemes[-1].end_s == pytest.approx(speech.duration_s, abs=1e-6)
    for before, after in pairwise(phonemes):
        assert before.start_s < before.end_s == pytest.approx(after.start_s)
    assert sum(not p.silent for p in phonemes) > 15
    assert all(p.symbol and "(" not in p.symbol for p in phonemes)
    assert any(p.stress == 2 for p in phonemes)
    assert max(p.end_s - p.start_s for p in phonemes if not p.silent) < 0.5


@pytest.mark.parametrize("language", HELLO)
def test_every_symbol_is_a_mouth_and_the_mouth_moves(spoken, language):
    speech = spoken[language]
    assert all(letters(p.symbol) for p in speech.phonemes)
    opening = aperture(mouth_curves(speech.phonemes, speech.duration_s))
    assert opening.max() > 0.35
    assert opening.std() > 0.08


def test_times_agree_with_the_sound():
    speech = speak("A big happy dog took a copy of it up to Papa.")
    vowels = [
        level(speech, p.start_s, p.end_s) for p in speech.phonemes if letters(p.symbol)[0].kind == "vowel"
    ]
    stops = [p for p in speech.phonemes if p.symbol in ("p", "t", "k") and p.start_s > 0]
    assert len(stops) >= 5
    for stop in stops:
        # The closure lies inside the stop: its first part is silent.
        assert level(speech, stop.start_s + 0.002, stop.start_s + 0.02) < 0.05 * np.median(vowels)
        assert stop.end_s - stop.start_s > 0.03
    for pause in (p for p in speech.phonemes if p.silent):
        assert level(speech, pause.start_s, pause.end_s) < 0.05 * np.median(vowels)


def test_words_stress_and_sentences_are_marked():
    speech = speak("One two three. Four below.")
    starts = [p for p in speech.phonemes if p.word_start]
    assert [p.symbol[0] for p in starts] == ["w", "t", "θ", "f", "b"]
    assert [p.word for p in starts] == [0, 1, 2, 3, 4]
    assert [p.sentence for p in starts] == [0, 0, 0, 1, 1]
    assert [p.symbol for p in speech.phonemes if p.sentence_start] == ["w", "f"]
    below = [p for p in speech.phonemes if p.word == 4 and p.stress == 2]
    assert [p.symbol for p in below] == ["oʊ"]


@pytest.mark.parametrize("rate_wpm", [110, 160, 260])
def test_lips_close_at_every_p_b_m_that_is_heard(rate_wpm):
    speech = speak(ENGLISH_40_S, Voice("en-us", "m3", rate_wpm))
    opening = aperture(mouth_curves(speech.phonemes, speech.duration_s))
    labials = [p for p in speech.phonemes if p.symbol in ("p", "b", "m")]
    assert len(labials) > 30
    for p in labials:
        assert opening[int(p.start_s * GRID_RATE) : int(p.end_s * GRID_RATE) + 2].min() < 0.005


@pytest.mark.parametrize("rate_wpm", [110, 160, 260])
def test_mouths_fit_their_sounds(rate_wpm):
    speech = speak(ENGLISH_40_S, Voice("en-us", "f2", rate_wpm))
    curves = mouth_curves(speech.phonemes, speech.duration_s)

    def during(symbols: tuple[str, ...], value: np.ndarray) -> np.ndarray:
        middles = [(p.start_s + p.end_s) / 2 for p in speech.phonemes if p.symbol in symbols]
        return value[[int(t * GRID_RATE) for t in middles]]

    rounded, tucked = curves[:, INDEX["lips_round"]], curves[:, INDEX["lower_tuck"]]
    assert during(("uː", "oʊ", "w"), rounded).mean() > 0.55
    assert during(("iː", "i", "eɪ"), rounded).mean() < 0.3
    teeth = [p for p in speech.phonemes if p.symbol in ("f", "v")]
    assert min(tucked[int(p.start_s * GRID_RATE) : int(p.end_s * GRID_RATE) + 2].max() for p in teeth) > 0.95
    assert during(("s", "t", "iː", "ɑː", "aɪ"), tucked).mean() < 0.2
    opening = aperture(curves)
    assert during(("ɑː", "æ", "aɪ"), opening).mean() > 1.6 * during(("iː", "i"), opening).mean()
    pauses = [p for p in speech.phonemes if p.silent and p.end_s - p.start_s > 0.2]
    assert len(pauses) >= 8 or rate_wpm > 200
    assert (
        not pauses
        or max(opening[int(p.start_s * GRID_RATE) : int(p.end_s * GRID_RATE)].min() for p in pauses) < 0.06
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_lip_opening_follows_the_energy_of_the_speech(seed):
    speech = speak(ENGLISH_40_S, voice_for(seed)).with_silence(0.3, 0.3)
    opening = aperture(perform(speech.phonemes, speech.duration_s, rate=25, seed=seed).expressions)
    step = speech.rate // 25
    blocks = speech.samples[: len(speech.samples) // step * step].reshape(-1, step)
    energy = np.log(np.sqrt((blocks**2).mean(axis=1)) + 1e-3)
    n = min(len(energy), len(opening))

    def correlation(shift: int) -> float:
        return float(np.corrcoef(np.roll(energy[:n], shift), opening[:n])[0, 1])

    assert correlation(0) > 0.45
    # In step: neither ten frames earlier nor later fits as well.
    assert max(correlation(10), correlation(-10)) < 0.5 * correlation(0)


def test_the_same_text_and_voice_give_the_same_bytes_whatever_was_said_before():
    text, voice = "Hello there, my baby has five wooden shoes.", Voice("en-us", "f3", 170, 60, 70)
    alone = speak(text, voice)
    # The library seeds its noise with the clock's seconds: the second saying must be in another one.
    second = int(time.time())
    while int(time.time()) == second:
        time.sleep(0.02)
    others = [
        ("Guten Tag", Voice("de", "croak")),
        ("你好", Voice("cmn", "klatt3")),
        (text, Voice("en-us", "whisper")),
    ]
    after = speak_all([*others, (text, voice), *others, (text, voice)])
    for speech in (after[3], after[7]):
        np.testing.assert_array_equal(alone.samples, speech.samples)
        assert alone.phonemes == speech.phonemes


def test_voices_sound_different():
    draws = [voice_for(seed) for seed in range(12)]
    assert len({(v.variant, v.rate_wpm, v.pitch) for v in draws}) == 12
    assert voice_for(5) == voice_for(5)
    assert {v.variant for v in draws} <= set(variants())

    def pitch_hz(speech) -> float:
        """The strongest repetition between 60 and 400 Hz, averaged over voiced stretches."""
        found = []
        for start in range(0, len(speech.samples) - 2048, 1024):
            x = speech.samples[start : start + 2048]
            if x.std() > 0.05:
                c = np.correlate(x, x, "full")[2047:]
                found.append(speech.rate / (55 + c[55:368].argmax()))
        return float(np.median(found))

    women = [voice_for(s, {"sex": "female", "age": 30}) for s in range(6)]
    men = [voice_for(s, {"sex": "male", "age": 30}) for s in range(6)]
    pitches = [pitch_hz(s) for s in speak_all([("We all know our own way home.", v) for v in women + men])]
    assert np.median(pitches[:6]) > 1.25 * np.median(pitches[6:])


def test_silence_around_moves_everything():
    speech = speak("Papa.")
    moved = speech.with_silence(0.3, 0.5)
    assert moved.duration_s == pytest.approx(speech.duration_s + 0.8, abs=1e-3)
    assert moved.phonemes[0].start_s == pytest.approx(0.3, abs=1e-3)
    assert np.abs(moved.samples[: int(0.29 * moved.rate)]).max() == 0.0


def test_thousands_of_words_are_no_trouble():
    text = " ".join(["The quick brown fox jumps over the lazy dog, and a few puppies run home."] * 250)
    speech = speak(text, Voice("en-us", "", 300))
    assert speech.duration_s > 300
    assert speech.phonemes[-1].end_s == pytest.approx(speech.duration_s, abs=1e-6)
    assert max(p.word for p in speech.phonemes) > 3000
    # Late phonemes are as exact as early ones.
    late = [p for p in speech.phonemes[-400:] if p.symbol in ("p", "k") and p.start_s > 0]
    assert np.mean([level(speech, p.start_s + 0.002, p.start_s + 0.012) for p in late]) < 0.01


@pytest.mark.parametrize("text", ["", "   ", "...", "!?,;", "🙂🙂", "\n\t\0"])
def test_nothing_to_say_is_refused_in_one_line(text):
    with pytest.raises(RequestError) as caught:
        speak(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("voice", "says"),
    [
        (Voice("xx"), "en-us"),
        (Voice("../../etc"), "unknown language"),
        (Voice("en-us", "nosuch"), "f1"),
        (Voice(rate_wpm=5), "80 to 450"),
        (Voice(pitch=140), "0 to 99"),
    ],
)
def test_unknown_voices_are_refused_with_some_that_exist(voice, says):
    with pytest.raises(RequestError, match=says) as caught:
        speak("hello", voice)
    assert "\n" not in str(caught.value)


def test_odd_texts_are_spoken():
    texts = [
        "<speak>hi</speak>",
        "a\0b",
        "[[p@p]]",
        "100 % of € 5",
        "naïve \u200b café",
        "Ｈｅｌｌｏ 你好 hello",
    ]
    for speech in speak_all([(text, Voice()) for text in texts]):
        assert any(not p.silent for p in speech.phonemes)


def test_languages_of_the_wheel_and_our_own_texts():
    assert {*HELLO, *OTHER_LANGUAGES} <= set(languages())
    assert len(languages()) > 100
    assert {"f1", "m3", "Annie"} <= set(variants())


def test_a_crash_of_the_library_is_an_error_of_ours():
    # The child writes its answer whole at the end: killed before, it has written nothing.
    program = (
        "import os, signal; from tasks import _espeak as e; e._answer = lambda *a: os.kill(os.getpid(), 11);"
    )
    program += "import sys; e._answer_in_a_fork({}, sys.stdout.buffer)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=True)
    assert b"crashed (signal 11)" in done.stdout
