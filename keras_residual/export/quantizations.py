"""The quantizations of exported files."""

# `None` is float32.
QUANTIZATIONS = (None, "float16", "dynamic", "int8", "int16x8")
INTEGERS = ("int8", "int16x8")
