"""Analysis of networks: costs, inner workings, explanations, quality of results."""

from keras_residual.analysis.architecture import plot_architecture
from keras_residual.analysis.blocks import Block, blocks_of
from keras_residual.analysis.classification import ClassificationReport, classification_report
from keras_residual.analysis.cost import Cost, cost
from keras_residual.analysis.grad_cam import grad_cam
from keras_residual.analysis.gradient_flow import LayerGradient, gradient_flow
from keras_residual.analysis.image_quality import batch_psnr, psnr, ssim
from keras_residual.analysis.lesions import Lesion, LesionStudy, lesion_study
from keras_residual.analysis.paths import PathStudy, path_shares, path_study
from keras_residual.analysis.plots import (
    plot_gradient_flow,
    plot_lesions,
    plot_paths,
    plot_strength,
)
from keras_residual.analysis.saliency import saliency
from keras_residual.analysis.strength import BlockStrength, residual_strength

__all__ = [
    "Block",
    "BlockStrength",
    "ClassificationReport",
    "Cost",
    "LayerGradient",
    "Lesion",
    "LesionStudy",
    "PathStudy",
    "batch_psnr",
    "blocks_of",
    "classification_report",
    "cost",
    "grad_cam",
    "gradient_flow",
    "lesion_study",
    "path_shares",
    "path_study",
    "plot_architecture",
    "plot_gradient_flow",
    "plot_lesions",
    "plot_paths",
    "plot_strength",
    "psnr",
    "residual_strength",
    "saliency",
    "ssim",
]
