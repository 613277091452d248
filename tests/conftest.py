"""Puts this folder on the path, so that every test finds the drawn suites, results and servers that lie in it."""
