"""Backend-specific implementations of the same convolution."""
