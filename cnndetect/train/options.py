"""Flags of a training run, made from the fields of TrainConfig: one a field, those of its nested records among them.

A new field of the configuration is a new flag; only a line of help is to be added here. A flag that is given wins over the recipe.
"""

from __future__ import annotations

import dataclasses
import shlex
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from cnndetect import paths
from cnndetect.errors import ProtocolError, lookup
from cnndetect.renamed import Renamed
from cnndetect.train.config import TrainConfig
from cnndetect.train.recipes import RECIPES

HELP = {
    "data": "folder with train/ and val/",
    "name": "of this run, a folder of --out",
    "out": "where runs are kept (default: runs/ below CNNDETECT_RESULTS)",
    "classes": "only these class folders (default: all)",
    "max_images": "images of train/, the same share of every class (default: all)",
    "max_val_images": "of val/, likewise; every epoch sees them all (default: all)",
    "recipe": f"one of {', '.join(RECIPES)}",
    "resize_px": "shorter side before the crop, or none",
    "jitter": "of brightness, contrast and saturation",
    "balance": "over- or undersample real and fake: none, over or under",
    "arch": "a network of detectors/networks, such as resnet50 or npr",
    "init": "imagenet, random or a weights file",
    "fc_deviation": "of the fresh classifier's weights",
    "momentum": "of sgd",
    "optimizer": "adam or sgd",
    "lr_step_epochs": "fall every N epochs (default: on plateaus)",
    "batch_size": "of all processes",
    "later_min_improvement": "after the first fall",
    "max_seconds": "time budget over all starts",
    "device": "auto, cpu, cuda or cuda:N",
    "amp": "none or bf16",
    "threads": "of torch on a CPU (default: torch's choice)",
    "workers": "decoding processes",
    "cache_mb": "decoded images kept",
    "checkpoint_steps": "also every N steps",
    "epoch_images": "of pairs: images of an epoch, as many of every decoder (default: each pair once)",
    "conditions": "degradations of validation; the weights are chosen by the mean over them",
    "average": "decay of a moving average of the weights, which is what is kept",
    "mix_probability": "of pairs: share of fakes that are mixed with their photograph",
    "mix_weight": "of pairs: the photograph's largest weight in a mix",
    "rotate": "of pairs: by multiples of 90 degrees",
    "spectrum_probability": "of pairs: share of fakes that get their photograph's radial power spectrum",
    "retouch_probability": "of pairs: share of images that are sharpened, softened, made noisy or changed in tone, each alone",
    "scale_probability": "of pairs: share of them that are resized, both images alike",
    "scales": "of pairs: smallest and largest factor of that",
    "codecs": "of pairs: some of jpeg, jpeg444, jpeg-twice, webp",
}


@dataclass(frozen=True)
class Flag:
    """A field of TrainConfig, or of the record in its field ``inside``."""

    name: str
    inside: str
    kind: Any  # the annotation
    default: Any

    @property
    def option(self) -> str:
        return "--limit" if self.name == "max_images" else f"--{self.name.replace('_', '-')}"


class _NoneOr(click.ParamType):
    """A number, or the word "none"."""

    def __init__(self, kind: Any) -> None:
        self.kind, self.name = kind, f"{kind.__name__}|none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return None if value in (None, "none") else click.types.convert_type(self.kind).convert(value, param, ctx)


class _Names(click.ParamType):
    name = "A,B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        return tuple(name for name in value.split(",") if name) if isinstance(value, str) else tuple(value)


def flags() -> list[Flag]:
    """One flag for every field that a command line can say; records in lists, such as stages, are the recipe's alone."""
    found = []
    for name, kind, default in _fields(TrainConfig):
        inner = _record(kind)
        if inner:
            found += [Flag(field, name, hint, value) for field, hint, value in _fields(inner) if _type(hint)]
        elif _type(kind):
            found.append(Flag(name, "", kind, default))
    return found


def click_options(*, without: Sequence[str] = ()) -> list[click.Option]:
    """The flags as options; a flag that is not given is None. without: names to leave out."""
    return [_option(flag) for flag in flags() if flag.name not in without]


def given_flags(ctx: click.Context) -> dict[str, Any]:
    """What was given on the command line, so that a None that was given is told from a flag that was not."""
    names = {flag.name for flag in flags()}
    from_words = click.core.ParameterSource.COMMANDLINE
    return {name: value for name, value in ctx.params.items() if name in names and ctx.get_parameter_source(name) is from_words}


def config_from(given: Mapping[str, Any]) -> TrainConfig:
    """Recipe first, its settings next, then every flag that was given. Raises UnknownNameError, ProtocolError."""
    recipe = lookup("recipe", RECIPES, given.get("recipe", TrainConfig.recipe))
    known = flags()
    settings: dict[str, Any] = {**recipe.settings, "augment": recipe.augment}
    for name, kind, default in _fields(TrainConfig):
        inner = _record(kind)
        changes = {flag.name: given[flag.name] for flag in known if flag.inside == name and flag.name in given}
        if inner and changes:
            settings[name] = replace(settings.get(name) or default or inner(), **changes)
    plain = {flag.name: given[flag.name] for flag in known if not flag.inside and flag.name in given}
    missing = [name for name in ("data", "name") if name not in plain]
    if missing:
        raise ProtocolError(f"--{missing[0]} is missing. Expected --data, a folder with train/ and val/, and --name of the run.")
    return TrainConfig(**{"out": paths.results_root() / paths.RUNS, **settings, **plain})


def parse(words: Sequence[str]) -> TrainConfig:
    """The configuration of a command line.

    >>> parse(["--data", "d", "--name", "n", "--out", "o", "--lr", "0.1"]).lr
    0.1
    """
    command = click.Command("train", params=[*click_options()])
    with command.make_context("train", list(words)) as ctx:
        return config_from(given_flags(ctx))


def words_of(config: TrainConfig) -> list[str]:
    """A command line that ``parse`` makes the same configuration of.

    >>> words_of(parse(["--data", "d", "--name", "n", "--out", "o", "--no-flip"]))[-1]
    '--no-flip'
    """
    needed = {"data": config.data, "name": config.name, "out": config.out, "recipe": config.recipe, "seed": config.seed}
    plain = config_from(needed)
    words = [word for name, value in needed.items() for word in (f"--{name}", str(value))]
    for flag in flags():
        value, default = (getattr(getattr(one, flag.inside) if flag.inside else one, flag.name, None) for one in (config, plain))
        if value != default:
            words += _said(flag, value)
    return words


def shown_words(config: TrainConfig) -> str:
    """The same without places of this machine."""
    init = config.init if config.init in ("imagenet", "random") else Path(config.init).name
    return shlex.join(words_of(replace(config, data=Path("DATA"), out=Path("RUNS"), init=init)))


def _said(flag: Flag, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag.option if value else flag.option.replace("--", "--no-", 1)]
    if isinstance(value, tuple):
        return [flag.option, ",".join(value)] if _type(flag.kind) is str else [flag.option, *map(str, value)]
    return [flag.option, "none" if value is None else str(value)]


def _option(flag: Flag) -> click.Option:
    kind, text = _type(flag.kind), HELP.get(flag.name, "")
    if flag.default not in (None, "", (), dataclasses.MISSING) and "default" not in text:
        text = f"{text} (default: {flag.default})".strip()
    if kind is bool:
        return click.Option([f"{flag.option}/{flag.option.replace('--', '--no-', 1)}"], default=None, help=text)
    many = _arguments(flag.kind)
    if many:
        if many[-1] is Ellipsis:
            return click.Option([flag.option], type=_Names(), default=None, help=text)
        return click.Option([flag.option], type=kind, nargs=len(many), default=None, help=text)
    nullable = type(None) in typing.get_args(flag.kind)
    settings: dict[str, Any] = {"type": _NoneOr(kind) if nullable else kind, "default": None, "help": text}
    old = ("--max-images",) if flag.name == "max_images" else ()
    return Renamed([flag.option, flag.name], old=old, **settings)


def _fields(record: type) -> list[tuple[str, Any, Any]]:
    hints = typing.get_type_hints(record)
    return [(field.name, hints[field.name], field.default) for field in dataclasses.fields(record)]


def _record(kind: Any) -> Any:
    """The dataclass that an annotation names, None for any other."""
    return next((one for one in (kind, *typing.get_args(kind)) if dataclasses.is_dataclass(one) and not _arguments(kind)), None)


def _arguments(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) is tuple else ()


def _type(kind: Any) -> type | None:
    """What a word of the command line becomes: bool, int, float, str or Path; None for what cannot be said there."""
    if isinstance(kind, types.UnionType):
        kind = next(one for one in typing.get_args(kind) if one is not type(None))
    kind = _arguments(kind)[0] if _arguments(kind) else kind
    return kind if kind in (bool, int, float, str, Path) else None
