"""Runs artefacts in their own runtimes, to compare, time and describe them."""
