"""The name that saved files know this package by; it never changes."""

PACKAGE = "keras_residual"
