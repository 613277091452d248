"""Detectors that others published, one file each: their networks, their way with an image, their records."""
