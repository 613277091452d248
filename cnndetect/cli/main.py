"""The program ``cnndetect``: its verbs, each imported when it is called, and its entry point."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

import click

from cnndetect import __version__
from cnndetect.cli.groups import Verbs
from cnndetect.cli.guard import guarded

cnndetect = Verbs(
    "cnndetect",
    {
        "score": ("cnndetect.cli.score:score", "score images: a line each"),
        "bench": ("cnndetect.cli.bench:bench", "average precision of detectors on generator families"),
        "leaderboard": ("cnndetect.cli.leaderboard:leaderboard", "tables of stored results; check a row before it is sent"),
        "compare": ("cnndetect.cli.bench:compare", "the same as bench compare"),
        "robustness": ("cnndetect.cli.bench:robustness", "the same as bench robustness"),
        "report": ("cnndetect.cli.report:report", "one HTML page from stored results"),
        "serve": ("cnndetect.cli.serve:serve", "a page where one drops a picture, and JSON for programs"),
        "train": ("cnndetect.cli.train:train", "train a detector"),
        "audit": ("cnndetect.cli.audit:audit", "can real and fake be told apart by their files?"),
        "data": ("cnndetect.cli.data:data", "the released images: list, fetch, verify"),
        "zoo": ("cnndetect.cli.zoo:zoo", "train small generators and build test sets"),
        "ablation": ("cnndetect.cli.ablation:ablation", "train a grid of detectors, and score it"),
        "list": ("cnndetect.cli.listing:names", "the names that options take: suites, degradations, recipes, families ..."),
        "detectors": ("cnndetect.cli.detectors:detectors", "list, fetch, pack, calibrate and fuse detectors"),
    },
    help="Score images for traces of CNN generators, and compare the detectors that do it.",
)
cnndetect = click.version_option(__version__, prog_name="cnndetect", message="%(prog)s %(version)s")(cnndetect)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status (guard.py). arguments: default those of the process."""
    if "_CNNDETECT_COMPLETE" in os.environ:  # a shell asks for completions
        cnndetect.main(prog_name="cnndetect")
    return guarded(cnndetect, sys.argv[1:] if arguments is None else arguments)


def alias(verb: str) -> Callable[..., int]:
    """``main`` of ``python -m cnndetect.VERB``."""
    return lambda arguments=None: main([verb, *(sys.argv[1:] if arguments is None else arguments)])
