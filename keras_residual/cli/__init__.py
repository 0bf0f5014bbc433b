"""The command line, `keras-residual`: one file per command, each built on the public API."""
