"""Fits on validation images: thresholds, temperatures, sums of detectors, packed weights that ship."""
