"""Names of training recipes, each with the augmentation it stands for; the rest is TrainConfig's defaults.

The `wang2020-*` rows are the variants of Wang et al. 2020. The `mini-*` rows are the same for 128 px images:
native size instead of a resize (which would blur away what upsampling left behind) and a crop of 112 px.
"""

from __future__ import annotations

from cnndetect.transforms.augment import AugmentConfig

RECIPES: dict[str, AugmentConfig] = {
    "wang2020-none": AugmentConfig(),
    "wang2020-blur": AugmentConfig(blur_probability=0.5),
    "wang2020-jpeg": AugmentConfig(jpeg_probability=0.5),
    "wang2020-blur-jpeg-0.1": AugmentConfig(blur_probability=0.1, jpeg_probability=0.1),
    "wang2020-blur-jpeg-0.5": AugmentConfig(blur_probability=0.5, jpeg_probability=0.5),
    "mini-none": AugmentConfig(resize_px=None, crop_px=112),
    "mini-blur": AugmentConfig(resize_px=None, crop_px=112, blur_probability=0.5),
    "mini-jpeg": AugmentConfig(resize_px=None, crop_px=112, jpeg_probability=0.5),
    "mini-blur-jpeg-0.1": AugmentConfig(
        resize_px=None, crop_px=112, blur_probability=0.1, jpeg_probability=0.1
    ),
    "mini-blur-jpeg-0.5": AugmentConfig(
        resize_px=None, crop_px=112, blur_probability=0.5, jpeg_probability=0.5
    ),
}
