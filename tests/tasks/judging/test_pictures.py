"""Pictures with known answers: the truth itself, late, blurred, noisy, of another."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.judging.figures import crop_likeness, psnr, sharpness, ssim
from tests.tasks.judging.films import FRAMES, blurred, film, noisy

TRUE = film()


def test_nothing_is_better_than_the_truth() -> None:
    np.testing.assert_array_equal(psnr(TRUE, TRUE), 100)
    np.testing.assert_allclose(ssim(TRUE, TRUE), 1)
    np.testing.assert_array_equal(sharpness(TRUE, TRUE), 1)
    np.testing.assert_allclose(crop_likeness(TRUE, TRUE), 1)
    for made in (np.roll(TRUE, 2, 0), np.roll(TRUE, 2, 2), blurred(TRUE, 1), noisy(TRUE, 5), film(seed=1)):
        assert psnr(made, TRUE).mean() < 60
        assert ssim(made, TRUE).mean() < 0.995
        assert crop_likeness(made, TRUE).mean() < 0.9999


@pytest.mark.parametrize("step", [1, 2, 10, 40])
def test_psnr_of_an_even_error_is_the_textbooks(step: int) -> None:
    plain = np.full((2, 20, 20, 3), 100, np.uint8)
    wanted = 20 * np.log10(255 / step)
    np.testing.assert_allclose(psnr(plain + np.uint8(step), plain), wanted)
    np.testing.assert_allclose(psnr(plain, plain + np.uint8(step)), wanted, err_msg="bytes went below 0")


def test_one_value_that_is_off_by_one_is_not_identical() -> None:
    other = TRUE.copy()
    other[:, 3, 4, 1] ^= 1
    assert (psnr(other, TRUE) < 100).all()


def test_the_more_a_film_is_blurred_the_worse_it_is() -> None:
    softer = [blurred(TRUE, sigma) for sigma in (0.5, 1.0, 2.0, 4.0)]
    for figure in (psnr, ssim, sharpness, crop_likeness):
        said = [figure(made, TRUE).mean() for made in softer]
        assert said == sorted(said, reverse=True), figure.__name__
    assert sharpness(softer[1], TRUE).max() < 0.6


def test_noise_is_sharper_than_the_truth_and_no_better() -> None:
    rising = [sharpness(noisy(TRUE, spread), TRUE).mean() for spread in (2, 6, 18)]
    assert 1 < rising[0] < rising[1] < rising[2]
    falling = [ssim(noisy(TRUE, spread), TRUE).mean() for spread in (2, 6, 18)]
    assert falling == sorted(falling, reverse=True)


def test_sharpness_of_half_the_contrast_is_a_quarter() -> None:
    half = (TRUE // 2 * 2).astype(np.uint8)
    np.testing.assert_allclose(sharpness(half // 2, half), 0.25)
    plain = np.full_like(TRUE, 80)
    assert np.isnan(sharpness(TRUE, plain)).all()
    np.testing.assert_array_equal(sharpness(plain, TRUE), 0)


def test_a_frozen_picture_is_right_where_it_was_taken() -> None:
    frozen = np.repeat(TRUE[:1], FRAMES, 0)
    same = (frozen == TRUE).all((1, 2, 3))
    assert 0 < same.sum() < FRAMES
    for figure in (psnr, ssim):
        said = figure(frozen, TRUE)
        assert said[same].min() > said[~same].max()


def test_likeness_forgives_a_moving_mouth_and_no_other_face() -> None:
    frozen = np.repeat(TRUE[3:4], FRAMES, 0)
    lit = np.linspace(0.6, 1, TRUE.shape[2])[:, None] * np.array([1.0, 0.9, 0.8])
    other = (film(seed=1) * lit).astype(np.uint8)
    pale = np.clip(TRUE.astype(int) + 40, 0, 255).astype(np.uint8)
    said = [crop_likeness(made, TRUE).mean() for made in (noisy(TRUE, 2), frozen, pale, 255 - TRUE)]
    assert said == sorted(said, reverse=True)
    assert said[1] > 0.9 > said[2] > said[3]
    assert crop_likeness(other, TRUE).max() < crop_likeness(frozen, TRUE).min()
    np.testing.assert_allclose(crop_likeness(TRUE, pale), crop_likeness(pale, TRUE))


def test_frames_are_judged_each_by_itself() -> None:
    made = TRUE.copy()
    made[4] = 255 - made[4]
    for figure in (psnr, ssim, crop_likeness):
        said = figure(made, TRUE)
        assert said.shape == (FRAMES,)
        assert said.argmin() == 4
        np.testing.assert_array_equal(np.delete(said, 4), np.delete(figure(TRUE, TRUE), 4))


def test_crops_that_are_no_window_tell_no_structure() -> None:
    small = TRUE[:, :10]
    assert np.isnan(ssim(small, small)).all()
    assert np.isfinite(psnr(small, small)).all()
    assert len(psnr(TRUE[:0], TRUE[:0])) == len(ssim(TRUE[:0], TRUE[:0])) == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2), (5, 3), (4, 4)])
def test_the_smallest_crops_are_judged_by_what_they_have(size: tuple[int, int]) -> None:
    """A face far away, or none at all: a warning would stand in the user's terminal."""
    true, other = (made[:, 10 : 10 + size[0], 9 : 9 + size[1]] for made in (TRUE, film(seed=1)))
    for figure in (psnr, ssim, sharpness, crop_likeness):
        same = figure(true, true)
        assert same.shape == figure(other, true).shape == (FRAMES,)
    np.testing.assert_allclose(crop_likeness(true, true), 1)
    assert (crop_likeness(other, true) < 1).all()
    assert np.isnan(sharpness(true, true)).all() == (size == (1, 1)), "a single pixel is plain"


@pytest.mark.parametrize("figure", [psnr, ssim, sharpness, crop_likeness])
def test_what_does_not_belong_together_is_refused(figure) -> None:
    for made in (TRUE[:5], TRUE[:, 1:], TRUE.astype(float)):
        with pytest.raises(ValueError, match="crops"):
            figure(made, TRUE)
