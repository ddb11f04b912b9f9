"""What well-kept libraries say of the same crops, to the last digit that they have."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import peak_signal_noise_ratio as torchmetrics_psnr
from torchmetrics.functional.image import structural_similarity_index_measure as torchmetrics_ssim

from models.losses import psnr as trained_psnr
from models.losses import ssim as trained_ssim
from tasks.judging.figures import psnr, ssim
from tests.tasks.judging.films import blurred, film, noisy

TRUE = film()
SPOILED = {
    "another": film(seed=1),
    "blurred": blurred(TRUE, 1.5),
    "noisy": noisy(TRUE, 12),
    "darker": (TRUE * 0.8).astype(np.uint8),
    "late": np.roll(TRUE, 2, 0),
    "negative": 255 - TRUE,
}


@pytest.fixture(params=sorted(SPOILED))
def made(request: pytest.FixtureRequest) -> np.ndarray:
    return SPOILED[request.param]


def tensor(crops: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(crops).movedim(-1, 1).double()


def test_ssim_is_scikit_images(made: np.ndarray) -> None:
    said = [
        structural_similarity(
            b,
            a,
            channel_axis=-1,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for a, b in zip(made, TRUE, strict=True)
    ]
    np.testing.assert_allclose(ssim(made, TRUE), said, rtol=0, atol=1e-9)


def test_psnr_is_scikit_images(made: np.ndarray) -> None:
    # Of frames that are the same it says infinity, of which no mean can be taken: see the ceiling.
    different = (made != TRUE).any((1, 2, 3))
    said = [peak_signal_noise_ratio(b, a, data_range=255) for a, b in zip(made, TRUE, strict=True)]
    assert different.sum() > 6
    np.testing.assert_allclose(psnr(made, TRUE)[different], np.array(said)[different], rtol=0, atol=1e-9)


def test_torchmetrics_agrees(made: np.ndarray) -> None:
    one, other = tensor(made), tensor(TRUE)
    how = {"sigma": 1.5, "kernel_size": 11, "data_range": 255.0, "reduction": "none"}
    # It counts a border of what it has mirrored, too: of whole windows it says the same.
    _, everywhere = torchmetrics_ssim(one, other, return_full_image=True, **how)
    alike = everywhere[..., 5:-5, 5:-5].flatten(1).mean(1)
    np.testing.assert_allclose(ssim(made, TRUE), alike.numpy(), rtol=0, atol=1e-6)
    different = (made != TRUE).any((1, 2, 3))
    said = torchmetrics_psnr(one, other, data_range=255.0, reduction="none", dim=(1, 2, 3))
    np.testing.assert_allclose(psnr(made, TRUE)[different], said.numpy()[different], rtol=0, atol=1e-4)


def test_what_networks_are_trained_by_is_what_they_are_judged_by(made: np.ndarray) -> None:
    one, other = tensor(made) / 127.5 - 1, tensor(TRUE) / 127.5 - 1
    alike = trained_ssim(one, other).flatten(1).mean(1)
    np.testing.assert_allclose(ssim(made, TRUE), alike.numpy(), rtol=0, atol=1e-4)
    said = np.minimum(trained_psnr(one, other).numpy(), 100)
    np.testing.assert_allclose(psnr(made, TRUE), said, rtol=0, atol=1e-4)
