"""Names of training recipes, each with the augmentation and the settings it stands for; the rest is TrainConfig's defaults.

The `wang2020-*` rows are the variants of Wang et al. 2020; the other rows are those of neighbouring detectors, from what
their papers and descriptions say. The `mini-*` rows are the same for 128 px images: native size instead of a resize (which
would blur away what upsampling left behind) and a crop of 112 px.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cnndetect.train.plateau import PlateauRule
from cnndetect.train.stages import Stage
from cnndetect.transforms.augment import AugmentConfig
from cnndetect.transforms.conditions import CONDITIONS
from cnndetect.transforms.pairs import PairConfig


@dataclass(frozen=True)
class Recipe:
    """An augmentation and fields of TrainConfig."""

    augment: AugmentConfig = AugmentConfig()
    settings: Mapping[str, Any] = field(default_factory=dict)
    source: str = "Wang et al. 2020, CNN-generated images are surprisingly easy to spot... for now"
    differences: tuple[str, ...] = ()  # to the published recipe, for the record of a run


_WANG = {
    "none": Recipe(),
    "blur": Recipe(AugmentConfig(blur_probability=0.5)),
    "jpeg": Recipe(AugmentConfig(jpeg_probability=0.5)),
    "blur-jpeg-0.1": Recipe(AugmentConfig(blur_probability=0.1, jpeg_probability=0.1)),
    "blur-jpeg-0.5": Recipe(AugmentConfig(blur_probability=0.5, jpeg_probability=0.5)),
}

_TWO_CLASSES = Recipe(
    settings={"arch": "resnet18-ce", "lr": 1e-3, "balance": "over"},
    source="a common two-class recipe: cross-entropy, Adam 1e-3, 224 px, classes balanced by sampling",
    differences=("two logits are trained as their difference, which is the same loss and the same gradient",),
)

NEIGHBOURS = {
    "npr": Recipe(
        settings={
            "arch": "npr", "init": "random", "lr": 2e-4, "batch_size": 32, "max_epochs": 50, "lr_step_epochs": 10,
            "plateau": PlateauRule(lr_factor=0.9),
        },
        source="Tan et al. 2024, Rethinking the Up-Sampling Operations in CNN-based Generative Network",
        differences=("images are tested at their own size; the published test resizes to 256 px",),
    ),
    "resnet18-ce": _TWO_CLASSES,
    "resnet18-frequency": replace(
        _TWO_CLASSES, settings={**_TWO_CLASSES.settings, "arch": "resnet18-frequency"},
        source="the same, with features of the log-spectrum beside those of the pixels",
        differences=(*_TWO_CLASSES.differences, "size and shape of the frequency branch are this project's choice"),
    ),
    "spectrum": Recipe(
        settings={
            "arch": "spectrum", "optimizer": "sgd", "lr": 1e-2, "weight_decay": 1e-4, "max_epochs": 10, "lr_step_epochs": 10,
        },
        source="Zhang, Karaman, Chang 2019, Detecting and Simulating Artifacts in GAN Fake Images",
        differences=("one logit and binary cross-entropy",),
    ),
    "resnext101": Recipe(
        AugmentConfig(resize_px=299, crop_px=299, jitter=0.2),
        settings={
            "arch": "resnext101", "optimizer": "sgd", "lr": 1e-4, "batch_size": 32,
            "stages": (
                Stage(epochs=2, lr=1e-3, trained=("fc",)), Stage(epochs=2, lr=1e-3, trained=("layer4", "fc")),
            ),
        },
        source="a common fine-tuning recipe: ResNeXt-101 32x8d, CLAHE on L, 299 px, staged unfreezing",
        differences=(
            "colour jitter comes before the equalisation of contrast, which is part of the network",
            "brightness and contrast are normalised by stretching L from its 1st to its 99th percentile",
            "two epochs in each of the first two stages; the last one ends by the plateau rule",
        ),
    ),
}  # fmt: skip


def _mini(recipe: Recipe) -> Recipe:
    return replace(recipe, augment=replace(recipe.augment, resize_px=None, crop_px=112))


def _pairs(chance: float, **settings: Any) -> Recipe:
    return Recipe(
        AugmentConfig(resize_px=None, crop_px=64, blur_probability=0.1, jpeg_probability=chance),
        settings={
            "pairs": PairConfig(), "lr": 2e-4, "batch_size": 32, "epoch_images": 4096, "average": 0.99, "conditions": CONDITIONS,
            # Short epochs: the average of the weights takes the place of a falling rate.
            "plateau": PlateauRule(patience=1000), "channels_last": True, **settings,
        },
        source="pairs of a photograph and its resynthesis (docs/train-a-detector.md), after Rajan et al. 2025 and Chen et al. 2025",
        differences=(
            "training on pairs, with validation under several conditions: not the reference's recipe",
            "the kept weights are an exponential moving average",
        ),
    )  # fmt: skip


PAIRS = {
    "pairs-blur-jpeg-0.1": _pairs(0.1),
    "pairs-blur-jpeg-0.5": _pairs(0.5),
    "pairs-deep": _pairs(0.5, pairs=PairConfig(codecs=("jpeg", "jpeg", "jpeg444", "jpeg-twice", "webp"))),
}

RECIPES: dict[str, Recipe] = {
    **{f"wang2020-{name}": recipe for name, recipe in _WANG.items()},
    **{f"mini-{name}": _mini(recipe) for name, recipe in _WANG.items()},
    **NEIGHBOURS,
    **PAIRS,
    **{f"mini-{name}": _mini(recipe) for name, recipe in NEIGHBOURS.items()},
}
