# ruff: noqa: RUF001 - letters of the phonetic alphabet look like others on purpose
import itertools

import numpy as np
import pytest

from models.puppet.expression import CONTROLS, INDEX
from models.puppet.phonetics import SILENCE, Phoneme, letters
from models.puppet.visemes import GRID_RATE, aperture, mouth_curves, sample, viseme


def said(symbols: str, each_s: float = 0.08, stress: int = 2) -> list[Phoneme]:
    """Phonemes of equal length after half a second of silence, named one by one."""
    return [
        Phoneme(0.5 + i * each_s, 0.5 + (i + 1) * each_s, symbol, stress)
        for i, symbol in enumerate(symbols.split())
    ]


def curves_of(phonemes: list[Phoneme]) -> np.ndarray:
    return mouth_curves(phonemes, phonemes[-1].end_s + 0.6)


def control(curves: np.ndarray, name: str, phoneme: Phoneme) -> np.ndarray:
    return curves[int(phoneme.start_s * GRID_RATE) : int(phoneme.end_s * GRID_RATE) + 1, INDEX[name]]


@pytest.mark.parametrize("each_s", [0.03, 0.06, 0.12, 0.25])
@pytest.mark.parametrize("labial", ["p", "b", "m", "pʲ", "mː", "ɓ"])
def test_lips_meet_in_every_bilabial_at_any_speed_and_frame_rate(labial, each_s):
    phonemes = said(f"a {labial} a {labial} ɔ s {labial} i", each_s)
    curves = curves_of(phonemes)
    for rate in (24, 25, 30, 50):
        rows = sample(curves, rate, int(phonemes[-1].end_s * rate))
        for phoneme in phonemes:
            if phoneme.symbol == labial:
                near = np.abs(np.arange(len(rows)) / rate - (phoneme.start_s + phoneme.end_s) / 2)
                seen = aperture(rows)[near <= max(0.05, (phoneme.end_s - phoneme.start_s) / 2)]
                assert seen.min() < 0.01


@pytest.mark.parametrize("each_s", [0.05, 0.08, 0.2])
def test_the_vowel_between_two_closures_opens(each_s):
    phonemes = said("m a m a m", each_s)
    openings = [aperture(curves_of(phonemes))[int((p.start_s + p.end_s) / 2 * GRID_RATE)] for p in phonemes]
    assert min(openings[1], openings[3]) > 0.12 > 0.01 > max(openings[0], openings[2], openings[4])


@pytest.mark.parametrize("each_s", [0.05, 0.08, 0.2])
def test_lip_tucks_under_the_teeth_in_f_and_v(each_s):
    phonemes = said("a f a v o", each_s)
    curves = curves_of(phonemes)
    for fricative in (phonemes[1], phonemes[3]):
        assert control(curves, "lower_tuck", fricative).max() > 0.99
    assert control(curves, "lower_tuck", phonemes[2]).min() < 0.5


def test_lips_round_in_u_o_w_and_before_them():
    phonemes = said("t i k u t i w o")
    curves = curves_of(phonemes)
    middle = [control(curves, "lips_round", p)[8] for p in phonemes]
    assert min(middle[3], middle[6], middle[7]) > 0.5
    assert max(middle[0], middle[1]) < 0.3
    # The k before u is rounded already, and more so than the t after it: rounding looks ahead.
    assert middle[2] > 0.5
    assert middle[2] > middle[4] + 0.1


def test_opening_grows_with_the_openness_of_the_vowel():
    openings = [aperture(viseme(vowel)) for vowel in ("i", "e", "ɛ", "a")]
    assert all(b > a + 0.05 for a, b in itertools.pairwise(openings))
    assert aperture(viseme("u")) < aperture(viseme("o")) + 0.05 < aperture(viseme("ɑ"))


def test_width_tells_i_from_u():
    assert viseme("i")[INDEX["lips_wide"]] > 0.5 > viseme("u")[INDEX["lips_wide"]]
    assert viseme("u")[INDEX["lips_round"]] > 0.8 > viseme("i")[INDEX["lips_round"]]
    assert viseme("ʃ")[INDEX["lips_funnel"]] > 0.6
    assert viseme("θ")[INDEX["tongue_out"]] > 0.6
    assert viseme("l")[INDEX["tongue_up"]] > 0.6


def test_silence_closes_the_mouth():
    phonemes = said("a s a")
    curves = mouth_curves(phonemes, 3.0)
    assert aperture(curves)[0] < 0.01
    assert aperture(curves)[int((phonemes[-1].end_s + 0.4) * GRID_RATE) :].max() < 0.02
    assert aperture(mouth_curves([], 1.0)).max() == 0.0


def test_stress_and_loudness_open_wider():
    weak, strong = (aperture(curves_of(said("t a t", stress=s))).max() for s in (0, 2))
    assert strong > 1.1 * weak
    loud = [Phoneme(p.start_s, p.end_s, p.symbol, 2, loudness=1.6) for p in said("t a t")]
    assert aperture(curves_of(loud)).max() > 1.05 * strong


def test_nothing_moves_faster_than_lips_can():
    curves = curves_of(said("i a p u ʃ a f i m o w s a b i", 0.05))
    speed = np.abs(np.diff(curves, axis=0)).max(axis=0) * GRID_RATE
    assert speed[INDEX["jaw_open"]] < 30
    assert speed[INDEX["lips_round"]] < 30
    # A closure takes 20 ms at the least: a minimum-jerk-like flank of that length has this slope.
    assert speed[INDEX["lips_close"]] <= np.pi / 2 / 0.02 + 1


def test_curves_stay_in_range_and_frame_rates_agree():
    curves = curves_of(said("a p i u w f θ ʃ l k h ə"))
    assert curves.shape[1] == len(CONTROLS)
    assert np.isfinite(curves).all()
    assert curves.min() >= 0.0
    assert curves.max() <= 1.0
    np.testing.assert_allclose(sample(curves, 25, 30), sample(curves, 50, 60)[::2], atol=1e-12)


@pytest.mark.parametrize("mark", ["", "ː", "ʰ", "̃", "̪", "˥", "ʲ", "."])
@pytest.mark.parametrize("letter", [*"pbtdkɡqmnŋɲrɾʀfvθðszʃʒçxɣχʁħʕhɹjlʎwɥɬǃʘ", *"iyɨuɪʊeøəɚɛœʌɔæaɑɒ"])
def test_every_letter_with_every_mark_has_a_target(letter, mark):
    row = viseme(letter + mark)
    assert np.isfinite(row).all()
    assert row.max() > 0.05


def test_marks_change_what_they_should():
    assert [part.place for part in letters("pf")] == ["bilabial", "labiodental"]
    assert [part.openness for part in letters("aɪ")] == [1.0, 0.18]
    assert len(letters("tɕh")) == 2  # the h is aspiration
    assert letters("s.")[0].place == "retroflex"
    assert letters("kʷ")[0].rounded
    assert letters("ɛ̃") == letters("ɛ")
    assert letters(SILENCE)[0].kind == "silence"


@pytest.mark.parametrize("symbol", ["", "?", "字", "1", "\u0303", "🙂", "  ", "XYZ", "(en)", "aaaaaaaa"])
def test_no_symbol_is_an_error(symbol):
    assert sum(part.share for part in letters(symbol)) == pytest.approx(1.0)
    assert np.isfinite(mouth_curves([Phoneme(0.1, 0.2, symbol)], 0.5)).all()
