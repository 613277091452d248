"""Photographs that generators are trained on and suites are made of."""
