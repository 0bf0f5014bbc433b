"""Loops inside the compiled graph, over time steps and over equal blocks."""
