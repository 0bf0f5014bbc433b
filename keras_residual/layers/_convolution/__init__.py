"""Equal forms of a convolution, one for each backend that needs its own."""
