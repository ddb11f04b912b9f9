import numpy as np
import pytest

from models.puppet.expression import INDEX
from models.puppet.gestures import phrases, wander
from models.puppet.motion import LIMITS, Style, blink_times, motion_curves, style_for, vivid_style
from models.puppet.phonetics import SILENCE, Phoneme
from models.puppet.visemes import GRID_RATE


def chatter(seconds: float, seed: int = 0) -> list[Phoneme]:
    """Phonemes in phrases of some seconds with pauses between, every third one a stressed vowel."""
    draw = np.random.default_rng(seed)
    found, at = [], 0.3
    while at < seconds - 4:
        end = at + draw.uniform(1.0, 3.5)
        while at < end:
            length = draw.uniform(0.05, 0.14)
            stressed = len(found) % 3 == 0
            found.append(Phoneme(at, at + length, "a" if stressed else "t", 2 if stressed else 0))
            at += length
        pause = draw.uniform(0.2, 0.7)
        found.append(Phoneme(at, at + pause, SILENCE))
        at += pause
    return found


@pytest.fixture(scope="module", params=range(8))
def five_minutes(request):
    phonemes = chatter(300.0, request.param)
    return (request.param, phonemes, *motion_curves(phonemes, 300.0, request.param))


def shut(controls: np.ndarray, name: str) -> np.ndarray:
    """When a lid passes half shut on its way down, in seconds."""
    lid = controls[:, INDEX[name]]
    return np.flatnonzero((lid[1:] > 0.5) & (lid[:-1] <= 0.5)) / GRID_RATE


def test_blinks_come_12_to_20_times_a_minute_and_irregularly(five_minutes):
    _, _, controls, _ = five_minutes
    times = shut(controls, "lid_left")
    assert 12 <= len(times) / 5 <= 20
    gaps = np.diff(times)
    assert gaps.min() > 0.5
    assert gaps.std() / gaps.mean() > 0.25
    assert gaps.max() < 13


def test_both_lids_close_together_faster_than_they_open(five_minutes):
    _, _, controls, _ = five_minutes
    left, right = shut(controls, "lid_left"), shut(controls, "lid_right")
    assert len(left) == len(right)
    assert np.abs(left - right).max() <= 0.015
    lid = controls[:, INDEX["lid_left"]]
    down = int(left[3] * GRID_RATE)
    stretch = lid[down - 30 : down + 80]
    closing = np.count_nonzero((stretch > 0.45) & (np.arange(110) < stretch.argmax()))
    opening = np.count_nonzero((stretch > 0.45) & (np.arange(110) > stretch.argmax()))
    assert opening > closing
    assert stretch.max() > 0.9
    assert 0.08 < (closing + opening) / GRID_RATE < 0.3


def test_head_stays_within_its_limits_and_does_move(five_minutes):
    _, _, _, poses = five_minutes
    assert (np.abs(poses) <= LIMITS).all()
    degrees = np.degrees(poses[:, :3])
    assert (degrees.std(axis=0) > [0.6, 1.5, 0.5]).all()
    assert np.abs(np.diff(degrees, axis=0)).max() * GRID_RATE < 120


def test_head_motion_has_no_period(five_minutes):
    _, _, _, poses = five_minutes
    for axis in range(3):
        x = poses[:: GRID_RATE // 20, axis]
        x = x - x.mean()
        n = len(x)
        spectrum = np.abs(np.fft.rfft(x, 2 * n)) ** 2
        correlation = np.fft.irfft(spectrum)[:n] / (x @ x)
        # Beyond four seconds, up to two minutes, the head does not repeat itself.
        assert correlation[80:2400].max() < 0.4


def test_head_settles_in_silence():
    phonemes = [p for p in chatter(60.0) if p.end_s < 25]
    _, poses = motion_curves(phonemes, 60.0, 3)
    speed = np.abs(np.diff(poses[:, :3], axis=0)).mean(axis=1)
    assert speed[30 * GRID_RATE :].mean() < 0.5 * speed[: 25 * GRID_RATE].mean()


def test_eyes_rest_mostly_on_the_camera_while_the_head_turns(five_minutes):
    _, _, controls, poses = five_minutes
    from_camera = np.degrees(controls[:, INDEX["gaze_x"]] * np.radians(30) - poses[:, 1])
    assert np.mean(np.abs(from_camera) < 3) > 0.7
    assert np.mean(np.abs(from_camera) > 4.5) > 0.02
    assert np.corrcoef(controls[:, INDEX["gaze_x"]], poses[:, 1])[0, 1] > 0.4


def test_saccades_are_quick_and_fixations_still(five_minutes):
    _, _, controls, poses = five_minutes
    eye = np.degrees(controls[:, INDEX["gaze_x"]] * np.radians(30) - poses[:, 1])
    speed = np.abs(np.diff(eye)) * GRID_RATE
    assert 100 < speed.max() < 900
    assert np.median(speed) < 3


def test_brows_rise_at_stressed_syllables_only():
    phonemes = chatter(120.0)
    brows = motion_curves(phonemes, 120.0, 1)[0][:, INDEX["brow_inner_raise"]]
    assert np.mean(brows > 0.25) < 0.25
    starts = np.flatnonzero((brows[1:] > 0.25) & (brows[:-1] <= 0.25)) / GRID_RATE
    accents = np.array([(p.start_s + p.end_s) / 2 for p in phonemes if p.stress == 2])
    assert len(starts) > 5
    assert max(np.abs(accents - s).min() for s in starts) < 0.3
    flat = [Phoneme(p.start_s, p.end_s, p.symbol, 0) for p in phonemes]
    assert motion_curves(flat, 120.0, 1)[0][:, INDEX["brow_inner_raise"]].max() < 0.25


def test_blinks_prefer_the_ends_of_phrases():
    phonemes = chatter(600.0)
    ends = np.array([end for _, end in phrases(phonemes)])
    times = np.array(blink_times(600.0, phonemes, 5, style_for(5)))
    near = np.mean([np.abs(ends - t).min() < 0.15 for t in times])
    elsewhere = np.mean([np.abs(ends - t).min() < 0.15 for t in np.linspace(1, 599, 2000)])
    assert near > 2 * elsewhere


def test_people_differ_and_each_repeats_exactly():
    phonemes = chatter(10.0)
    (first, pose), (again, pose_again), (other, other_pose) = (
        motion_curves(phonemes, 10.0, s) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(pose, pose_again)
    assert np.abs(pose - other_pose)[:, 1].max() > np.radians(1)
    assert style_for(1) != style_for(2)
    assert not np.array_equal(first, other)


def test_noise_has_unit_strength_and_no_memory():
    t = np.arange(0, 2000, 0.05)
    noise = wander(t, 2.0, 0, "x")
    assert 0.7 < noise.std() < 1.2
    assert abs(np.corrcoef(noise[:-200], noise[200:])[0, 1]) < 0.1


def test_vivid_people_blink_and_move_as_their_style_says():
    phonemes = chatter(300.0)
    calm, lively = (
        Style(blinks_per_minute=b, blink_length=long, amounts=a, paces=p)
        for b, long, a, p in (
            (7.0, 0.8, (0.5, 1.6, 1.0), (1.0, 1.0, 0.6)),
            (32.0, 2.0, (1.5, 0.5, 1.0), (1.0, 1.0, 1.6)),
        )
    )
    (still, pose), (busy, other) = (motion_curves(phonemes, 300.0, 1, one) for one in (calm, lively))
    assert len(shut(still, "lid_left")) / 5 == pytest.approx(7, rel=0.3)
    assert len(shut(busy, "lid_left")) / 5 == pytest.approx(32, rel=0.3)
    down = [(one[:, INDEX["lid_left"]] > 0.5).sum() / len(shut(one, "lid_left")) for one in (still, busy)]
    assert down[1] > 2 * down[0]
    spread = other.std(0) / pose.std(0)
    assert spread[0] > 2
    assert spread[1] < 0.5
    speed = np.diff(other[:, 2]).std() / np.diff(pose[:, 2]).std()
    assert speed > 1.3 * spread[2]


def test_vivid_styles_differ_widely_and_repeat():
    styles = [vivid_style(seed) for seed in range(40)]
    often = [one.blinks_per_minute for one in styles]
    assert min(often) < 9
    assert max(often) > 28
    assert all(6 <= one <= 35 for one in often)
    assert np.ptp(np.log([one.amounts for one in styles]), axis=0).min() > np.log(3)
    assert vivid_style(3) == styles[3]
    assert styles[3].smile == style_for(3).smile
