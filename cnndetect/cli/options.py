"""The options that verbs share: each has one spelling, one grammar and one default. A repeatable one is given again for more."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from cnndetect.errors import ProtocolError
from cnndetect.errors import lookup as lookup
from cnndetect.renamed import Renamed

Decorator = Callable[[Callable], Callable]

FILE = click.Path(path_type=Path)


class Count(click.ParamType):
    """A whole number >= least; the word "none" where that is allowed."""

    name = "N"

    def __init__(self, least: int = 1, *, none: bool = False) -> None:
        self.least, self.none = least, none

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if self.none and value == "none":
            return None
        if not str(value).isdigit() or int(value) < self.least:
            self.fail(f"got {value!r}, expected a whole number >= {self.least}{' or none' if self.none else ''}", param, ctx)
        return int(value)


class Names(click.ParamType):
    """Names with commas between them."""

    name = "A,B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        names = [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value
        return names or self.fail(f"got {value!r}, expected names such as stylegan,biggan", param, ctx)


class Hidden(click.Argument):
    """An argument that usage does not show: what is an option now."""

    def get_usage_pieces(self, ctx: click.Context) -> list[str]:
        return []


def renamed(*words: str, old: str, **settings: Any) -> Decorator:
    """An option that had another spelling once."""
    return click.option(*words, cls=Renamed, old=(old,), **settings)


def detector(help: str = "repeatable (default: the bundled one)") -> Decorator:
    return click.option("--detector", "detectors", multiple=True, metavar="NAME|FILE|hf://USER/REPO|MODULE:FACTORY", help=help)


weights = click.option(
    "--weights", type=FILE, metavar="FILE", help="your copy of the weights of the published detector that --detector names"
)


def with_weights(detectors: Sequence[str], copy: Path | None) -> tuple[str, ...]:
    """What --detector and --weights name together: NAME=FILE. Raises ProtocolError where it is not one published detector.

    >>> with_weights(["npr"], Path("NPR.pth"))
    ('npr=NPR.pth',)
    """
    from cnndetect.detectors.published.catalogue import PUBLISHED

    if copy is None:
        return tuple(detectors)
    if len(detectors) != 1 or detectors[0] not in PUBLISHED:
        given = " ".join(f"--detector {name}" for name in detectors) or "no --detector"
        raise ProtocolError(
            f"--weights is a copy of the weights of one published detector, and got {given}. A weights file of another network is "
            f"named itself: --detector {copy}. Published detectors: cnndetect detectors ls."
        )
    return (f"{detectors[0]}={copy}",)


def suite(default: str | None = "mini") -> Decorator:
    words = "mini, a released suite (see: cnndetect data ls), all, or a folder with 0_real/ and 1_fake/"
    return click.option("--suite", default=default, metavar="NAME|FOLDER", help=f"{words} (default: {default})")


def results(help: str = "where scores and results are kept (default: CNNDETECT_RESULTS, else the cache folder)") -> Decorator:
    return click.option("--results", type=FILE, metavar="DIR", help=help)


def limit(help: str, default: int | None = None, *, none: bool = False) -> Decorator:
    return renamed("--limit", old="--max-images", type=Count(none=none), default=default, help=f"{help} (default: {default or 'all'})")


def photos(help: str, old: str = "--photographs", *, required: bool = True, multiple: bool = False) -> Decorator:
    return renamed("--photos", old=old, type=FILE, required=required, multiple=multiple, metavar="DIR", help=help)


def out(help: str, *, required: bool = False, metavar: str = "DIR") -> Decorator:
    return renamed("--out", old="--dest", type=FILE, required=required, metavar=metavar, help=help)


def formats(*names: str, help: str = "") -> Decorator:
    """How a table is printed; JSON is --json."""
    return click.option(
        "--format",
        "style",
        type=click.Choice([*names, "json"]),
        metavar="|".join(names),
        default=names[0],
        help=f"{help}default: {names[0]}",
    )


def only(help: str) -> Decorator:
    """Names with commas between them, or the option again: a list, None where it is not given."""

    def joined(ctx: click.Context, param: click.Parameter, value: tuple[list[str], ...]) -> list[str] | None:
        return [name for names in value for name in names] or None

    return click.option("--only", type=Names(), multiple=True, callback=joined, help=f"{help} (default: all)")


def from_file(help: str) -> Decorator:
    return renamed("--from-file", old="--from-archive", type=FILE, metavar="FILE", help=help)


def degradation(default: tuple[str, ...], help: str) -> Decorator:
    text = f"{help}; repeatable (default: {', '.join(default)})"
    return click.option("--degradation", "degradations", multiple=True, default=default, metavar="NAME", help=text)


def draws(default: int = 2000) -> Decorator:
    return click.option(
        "--draws",
        type=Count(0),
        default=default,
        help=f"of the intervals of ranks and of shifts; 0: no intervals at all (default: {default})",
    )


device = click.option("--device", metavar="NAME", help="cpu, cuda or cuda:N (default: CUDA where there is one)")
backend = click.option(
    "--backend", default="auto", metavar="NAME",
    help="torch, onnxruntime, openvino or compile (default: auto, the fastest that is installed and gives torch's logits)",
)  # fmt: skip
precision = click.option(
    "--precision", default="float32", metavar="NAME", help="float32, bfloat16 or int8; the last two lose accuracy (default: float32)"
)
protocol = click.option("--protocol", default="nocrop", metavar="NAME", help="nocrop (native size) or crop224 (default: nocrop)")
seed = click.option("--seed", type=Count(0), default=0, help="of degradations and draws (default: 0)")
one_degradation = click.option("--degradation", default="none", metavar="NAME", help="such as jpeg_75 (default: none)")
batch_size = click.option("--batch-size", type=Count(), default=32, help="images of equal size at once (default: 32)")
yes = renamed("--yes", old="--accept-licence", is_flag=True, help="the licence is read and accepted")
as_json = click.option("--json", "as_json", is_flag=True, help="one JSON document on stdout")
val_limit = limit("of validation images, the same share of every class")


def print_json(content: Any) -> None:
    """The answer of a verb that was given --json."""
    click.echo(json.dumps(content, indent=1, sort_keys=True))


def shown_command(ctx: click.Context) -> str:
    """The command line of a verb, without what is at its default."""
    words = [ctx.command_path]
    for param in ctx.command.params:
        value = ctx.params.get(param.name or "")
        if ctx.get_parameter_source(param.name or "") is not ParameterSource.COMMANDLINE:
            continue
        flag = [] if isinstance(param, click.Argument) else [param.opts[0]]
        many = value if isinstance(value, tuple) else (value,)
        words += flag if getattr(param, "is_flag", False) else [word for one in many for word in (*flag, str(one))]
    return " ".join(words[:1]) + (" " + shlex.join(words[1:]) if words[1:] else "")
