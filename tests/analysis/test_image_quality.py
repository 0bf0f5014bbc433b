"""PSNR and SSIM by their formulas, on luminance, without the border."""

import numpy as np
import pytest

from keras_residual import analysis, data

pytest.importorskip("skimage")
RNG = np.random.default_rng(0)
TRUE = RNG.integers(0, 256, (30, 40, 3), np.uint8)
NOISY = np.clip(TRUE + RNG.normal(0, 9, TRUE.shape), 0, 255).astype(np.uint8)


def decibels(expected, found):
    return 10 * np.log10(255**2 / np.mean((expected.astype(float) - found) ** 2))


def test_psnr_by_hand():
    assert analysis.psnr(TRUE, NOISY, luminance=False) == pytest.approx(decibels(TRUE, NOISY))
    inner = (slice(4, -4), slice(4, -4))
    found = analysis.psnr(TRUE, NOISY, shave=4, luminance=False)
    assert found == pytest.approx(decibels(TRUE[inner], NOISY[inner]))
    y = [255 * data.luminance(picture[inner] / 255) for picture in (TRUE, NOISY)]
    assert analysis.psnr(TRUE, NOISY, shave=4) == pytest.approx(decibels(*y))


def test_ssim_by_hand():
    """Wang et al. 2004 in plain loops over the windows that lie inside."""
    a, b = (picture[:14, :13, 0].astype(float) for picture in (TRUE, NOISY))
    offset = np.arange(-5, 6)
    gauss = np.exp(-(offset**2) / 4.5)
    window = np.outer(gauss, gauss) / gauss.sum() ** 2
    values = []
    for row in range(a.shape[0] - 10):
        for column in range(a.shape[1] - 10):
            x, y = (part[row : row + 11, column : column + 11] for part in (a, b))
            mx, my = (window * x).sum(), (window * y).sum()
            vx, vy = (window * x * x).sum() - mx**2, (window * y * y).sum() - my**2
            covariance = (window * x * y).sum() - mx * my
            c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
            luminance = (2 * mx * my + c1) / (mx**2 + my**2 + c1)
            values.append(luminance * (2 * covariance + c2) / (vx + vy + c2))
    pair = TRUE[:14, :13, :1], NOISY[:14, :13, :1]
    assert analysis.ssim(*pair) == pytest.approx(np.mean(values), abs=1e-6)


def test_integers_and_fractions_agree():
    fractions = TRUE / 255, NOISY.astype(np.float32) / 255
    assert analysis.psnr(*fractions) == pytest.approx(analysis.psnr(TRUE, NOISY), abs=1e-4)
    assert analysis.ssim(*fractions) == pytest.approx(analysis.ssim(TRUE, NOISY), abs=1e-5)
    assert analysis.psnr(TRUE, TRUE) == float("inf") and analysis.ssim(TRUE, TRUE) == 1.0
    assert analysis.psnr(TRUE, TRUE / 255 + 5) == analysis.psnr(TRUE, np.ones_like(TRUE) * 255)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (analysis.psnr, (TRUE, NOISY[:5]), "`expected` and `found` must be"),
        (analysis.psnr, (TRUE[..., 0], NOISY[..., 0]), "`expected` and `found` must be"),
        (analysis.psnr, (TRUE, NOISY, 15), "`shave` leaves nothing"),
        (analysis.psnr, (TRUE, NOISY, -1), "`shave` must be a non-negative"),
        (analysis.ssim, (TRUE, NOISY, 11), "`shave` must leave 11 pixels"),
    ],
)
def test_wrong_argument_is_named(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)
