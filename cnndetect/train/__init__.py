"""Training a detector by the reference recipe."""
