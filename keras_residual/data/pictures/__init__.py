"""Picture files, and pairs of pictures for super-resolution."""
