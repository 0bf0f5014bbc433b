"""A page that runs a LiteRT file in the browser of a phone."""
