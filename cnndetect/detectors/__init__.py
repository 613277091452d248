"""Networks that turn an image into one logit, their weights and records."""
