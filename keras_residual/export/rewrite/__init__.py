"""Equal models in another form: folded, or with quantization inside."""
