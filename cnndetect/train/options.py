"""Command-line words enter, a TrainConfig leaves; a flag that is given wins over the recipe."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnndetect import paths
from cnndetect.errors import lookup
from cnndetect.train.architectures import ARCHITECTURES
from cnndetect.train.config import AMP, BALANCES, TrainConfig
from cnndetect.train.plateau import PlateauRule
from cnndetect.train.recipes import RECIPES
from cnndetect.train.stages import OPTIMIZERS

EXAMPLES = """\
examples:
  python -m cnndetect.train --data progan --name blur-jpeg-0.1 --recipe wang2020-blur-jpeg-0.1
  python -m cnndetect.train --data small --name mini --recipe mini-blur-jpeg-0.1 --init random --lr 3e-4
  python -m cnndetect.train --data small --name npr --recipe mini-npr --max-epochs 10
  torchrun --nproc-per-node 4 -m cnndetect.train --data progan --name fast --amp bf16 --channels-last

The same command continues a run that was killed; a finished run is not repeated without --rerun.
"""

_AUGMENT = (
    "resize_px",
    "crop_px",
    "blur_probability",
    "blur_sigma_px",
    "jpeg_probability",
    "jpeg_quality",
    "flip",
    "jitter",
)
_PLATEAU = ("patience", "min_improvement", "later_min_improvement", "lr_factor", "stop_below_lr")


def make_parser() -> argparse.ArgumentParser:
    """The options of `python -m cnndetect.train`."""
    parser = argparse.ArgumentParser(
        prog="python -m cnndetect.train",
        description="Train a detector on ROOT/{train,val}/class/{0_real,1_fake}.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_run(parser.add_argument_group("what"))
    _add_recipe(parser.add_argument_group("recipe (default: that of --recipe)"))
    _add_schedule(parser.add_argument_group("optimiser and schedule"))
    _add_machine(parser.add_argument_group("machine"))
    return parser


def config_from(options: argparse.Namespace) -> TrainConfig:
    """Recipe first, its settings next, then every flag that was given."""
    given: dict[str, Any] = {key: value for key, value in vars(options).items() if value is not None}
    name = given.get("recipe", TrainConfig.recipe)
    changes: dict[str, Any] = {key: _one(given[key]) for key in _AUGMENT if key in given}
    recipe = lookup("recipe", RECIPES, name)
    augment = replace(recipe.augment, **changes)
    settings = dict(recipe.settings)
    plateau = replace(settings.pop("plateau", PlateauRule()), **{key: given[key] for key in _PLATEAU if key in given})

    other = ("rerun", "dry_run", "json", "augment", "plateau", *_AUGMENT, *_PLATEAU)
    plain: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in {**settings, **given}.items() if key not in other
    }
    plain.setdefault("out", paths.results_root() / paths.RUNS)
    return TrainConfig(**plain, augment=augment, plateau=plateau)


def _add_run(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--data", type=Path, required=True, metavar="ROOT", help="folder with train/ and val/")
    group.add_argument("--name", required=True, help="name of this run, a folder of --out")
    group.add_argument("--out", type=Path, metavar="DIR", help="where runs are kept (default: CNNDETECT_RESULTS/runs)")
    group.add_argument("--classes", type=_names, metavar="A,B", help="only these class folders")
    group.add_argument("--max-images", type=int, metavar="N", help="of train/, the same share of every class (default: all)")
    group.add_argument("--max-val-images", type=int, metavar="N", help="of val/, likewise; every epoch sees them all (default: all)")
    group.add_argument("--rerun", action="store_true", help="start over, even when finished")
    group.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    group.add_argument("--json", action="store_true", help="print the record as JSON")


def _add_recipe(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--recipe", help=f"one of {', '.join(RECIPES)} (default {TrainConfig.recipe})")
    group.add_argument("--resize-px", type=_whole_or_none, metavar="PX|none", help="shorter side before the crop")
    group.add_argument("--crop-px", type=int, metavar="PX")
    group.add_argument("--blur-probability", type=float, metavar="P")
    group.add_argument("--blur-sigma-px", type=float, nargs=2, metavar=("LOW", "HIGH"))
    group.add_argument("--jpeg-probability", type=float, metavar="P")
    group.add_argument("--jpeg-quality", type=int, nargs=2, metavar=("LOW", "HIGH"))
    group.add_argument("--flip", action=argparse.BooleanOptionalAction, default=None)
    group.add_argument("--jitter", type=float, metavar="SHARE", help="of brightness, contrast and saturation")
    group.add_argument("--balance", choices=BALANCES, help=f"over- or undersample real and fake (default {TrainConfig.balance})")
    group.add_argument("--arch", help=f"one of {', '.join(ARCHITECTURES)} (default {TrainConfig.arch})")
    group.add_argument("--init", metavar="imagenet|random|FILE", help=f"start (default {TrainConfig.init})")
    group.add_argument("--fc-deviation", type=float, metavar="STD", help="of the fresh classifier's weights")
    group.add_argument("--freeze-batchnorm", action=argparse.BooleanOptionalAction, default=None)


def _add_schedule(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--lr", type=float, metavar="STEP", help=f"step size (default {TrainConfig.lr})")
    group.add_argument("--optimizer", choices=OPTIMIZERS, help=f"default {TrainConfig.optimizer}")
    group.add_argument("--momentum", type=float, metavar="M", help=f"of sgd (default {TrainConfig.momentum})")
    group.add_argument("--weight-decay", type=float, metavar="W", help=f"default {TrainConfig.weight_decay}")
    group.add_argument("--lr-step-epochs", type=int, metavar="N", help="fall every N epochs (default: on plateaus)")
    group.add_argument("--betas", type=float, nargs=2, metavar=("B1", "B2"), help=f"default {TrainConfig.betas}")
    group.add_argument("--batch-size", type=int, metavar="N", help=f"of all processes (default {TrainConfig.batch_size})")
    group.add_argument("--patience", type=int, metavar="EPOCHS", help=f"default {PlateauRule.patience}")
    group.add_argument("--min-improvement", type=float, metavar="ACC", help=f"default {PlateauRule.min_improvement}")
    group.add_argument(
        "--later-min-improvement", type=float, metavar="ACC",
        help=f"after the first fall (default {PlateauRule.later_min_improvement})",
    )  # fmt: skip
    group.add_argument("--lr-factor", type=float, metavar="F", help=f"default {PlateauRule.lr_factor}")
    group.add_argument("--stop-below-lr", type=float, metavar="STEP", help=f"default {PlateauRule.stop_below_lr}")
    group.add_argument("--max-epochs", type=int, metavar="N", help="default: none")
    group.add_argument("--max-seconds", type=float, metavar="S", help="time budget over all starts (default: none)")
    group.add_argument("--seed", type=int, help=f"default {TrainConfig.seed}")


def _add_machine(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--device", help="auto, cpu, cuda or cuda:N (default auto)")
    group.add_argument("--amp", choices=AMP, help=f"default {TrainConfig.amp}")
    group.add_argument("--channels-last", action=argparse.BooleanOptionalAction, default=None)
    group.add_argument("--compile", action=argparse.BooleanOptionalAction, default=None)
    group.add_argument("--threads", type=int, metavar="N", help="of torch on CPU (default: torch's choice)")
    group.add_argument("--workers", type=int, metavar="N", help=f"decoding processes (default {TrainConfig.workers})")
    group.add_argument("--cache-mb", type=int, metavar="MB", help=f"decoded images kept (default {TrainConfig.cache_mb})")
    group.add_argument("--checkpoint-seconds", type=float, metavar="S", help=f"default {TrainConfig.checkpoint_seconds:g}")
    group.add_argument("--checkpoint-steps", type=int, metavar="N", help="also every N steps")
    group.add_argument("--tensorboard", action=argparse.BooleanOptionalAction, default=None)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _whole_or_none(text: str) -> int | str:
    # argparse cannot tell a None that was given from a flag that was not: the word stays until config_from.
    return "none" if text == "none" else int(text)


def _one(value: Any) -> Any:
    if value == "none":
        return None
    return tuple(value) if isinstance(value, list) else value
