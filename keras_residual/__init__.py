"""keras_residual: every residual network in Keras 3."""
