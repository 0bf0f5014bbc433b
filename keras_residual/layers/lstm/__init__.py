"""Residual stacks of LSTM layers."""
