"""Rewrites models into equivalent ones: folded, or quantization-aware."""
