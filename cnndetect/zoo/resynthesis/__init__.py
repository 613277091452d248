"""Photographs painted again by decoders of generators: training them, painting with them, and pairs for detectors."""
