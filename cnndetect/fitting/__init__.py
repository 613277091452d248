"""Fits on validation images: thresholds, temperatures, weights of fusions, and the packed weights that ship."""
