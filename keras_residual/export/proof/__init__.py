"""Artefacts run in their own runtimes, compared, timed and described."""
