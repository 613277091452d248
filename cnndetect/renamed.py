"""Options of the command line that had another spelling once."""

from __future__ import annotations

from typing import Any

import click


class Renamed(click.Option):
    """An option with former spellings: they work, and help does not show them."""

    def __init__(self, *words: Any, old: tuple[str, ...], **settings: Any) -> None:
        super().__init__(*words, **settings)
        self.old = old

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        shown, self.opts = self.opts, [*self.opts, *self.old]
        super().add_to_parser(parser, ctx)
        self.opts = shown
