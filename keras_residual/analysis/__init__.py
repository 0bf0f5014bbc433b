"""Looking at networks: what they cost."""

from keras_residual.analysis.cost import Cost, cost

__all__ = ["Cost", "cost"]
