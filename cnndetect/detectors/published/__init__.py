"""Detectors that others published. Each file has a network, the preprocessing its authors test with, and records of its weights."""
