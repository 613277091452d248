"""Analyses of scored sets: robustness, false alarms, fakeness and quality, explanations, spectra, and the audit of a test set."""
