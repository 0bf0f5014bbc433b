"""The command line, `keras-residual`: one file a verb, each over the public API."""
