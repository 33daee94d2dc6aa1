"""rnnmft: mean-field theory of recurrent neural networks, derived, computed and validated."""
