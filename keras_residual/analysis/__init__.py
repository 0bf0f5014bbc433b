"""Looking at networks: what they cost, and how good what they put out is."""

from keras_residual.analysis.cost import Cost, cost
from keras_residual.analysis.image_quality import batch_psnr, psnr, ssim

__all__ = ["Cost", "batch_psnr", "cost", "psnr", "ssim"]
