"""Generators that others trained: where each comes from, how it is run, and the test suite ``public`` that they make.

Nothing of them is part of this package. Their code and weights are fetched when the suite is built, in pinned versions, and checked by
hash. The images are for testing: the suite's folder says so to everything that trains, selects or fits.
"""
