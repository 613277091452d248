# What a contributor runs. Each target is one or two plain commands, so that they can be typed without make too.
PYTHON ?= python

.PHONY: check test docs site lowest release

check:  ## half a minute: format, lint, types, quick tests
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(PYTHON) -m pytest -q tests/test_house.py tests/metrics tests/transforms

test:  ## the whole suite, about five minutes on two cores
	$(PYTHON) -m pytest -q

docs:  ## remake every generated table, output and figure of README and docs, the leaderboard and the tutorial, from stored scores
	$(PYTHON) scripts/docs

site:  ## the documentation as a site in site/, built strictly; needs the extra "docs"
	$(PYTHON) -m mkdocs build --strict

lowest:  ## the quick tests on the oldest versions that pyproject.toml allows, in an environment of their own
	bash scripts/lowest

release: check test  ## what must pass before a tag: checks, tests, and a wheel that works without the checkout
	$(PYTHON) -m build
