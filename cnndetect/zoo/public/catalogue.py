"""The public generators by name, in the order of the suite."""

from __future__ import annotations

from cnndetect.zoo.public import (
    carn,
    demosaicnet,
    gan_face,
    ml5_style,
    random_face,
    realesrgan,
    srgan,
    styletransfer,
    taef2,
    vintagify,
)
from cnndetect.zoo.public.generator import PublicGenerator

GENERATORS: dict[str, PublicGenerator] = {
    module.GENERATOR.name: module.GENERATOR
    for module in (vintagify, realesrgan, srgan, carn, taef2, styletransfer, ml5_style, demosaicnet, gan_face, random_face)
}
