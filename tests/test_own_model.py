"""A model of one's own: its input is what was declared, its output is folded to one logit, a wrong declaration fails at once."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import transforms

from cnndetect.detectors.adapter import from_model
from cnndetect.errors import ProtocolError, UnknownNameError
from cnndetect.scoring import score
from cnndetect.transforms.inputs import CLIP_MEAN, CLIP_STD, Input
from cnndetect.transforms.preprocess import IMAGENET_MEAN, IMAGENET_STD

PICTURE = np.random.default_rng(0).integers(0, 256, (97, 131, 3), dtype=np.uint8)
PAGE = Path(__file__).resolve().parent.parent / "docs" / "own-model.md"


@pytest.mark.parametrize("size", [(97, 131), (40, 300), (224, 224), (301, 225)])
@pytest.mark.parametrize(
    ("given", "steps"),
    [
        (Input(), []),
        (Input(resize=256, crop=224), [transforms.Resize(256), transforms.CenterCrop(224)]),
        (Input(resize=(256, 256)), [transforms.Resize((256, 256))]),
        (Input(crop=224), [transforms.CenterCrop(224)]),
        (
            Input(resize=64, crop=50, resampling="bicubic"),
            [transforms.Resize(64, interpolation=transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(50)],
        ),
    ],
)
def test_an_input_is_torchvisions_to_the_bit(size: tuple[int, int], given: Input, steps: list) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    theirs = transforms.Compose([*steps, transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)])
    assert torch.equal(given(picture), theirs(Image.fromarray(picture)))


def test_an_input_normalises_as_declared() -> None:
    found = Input(mean=CLIP_MEAN, std=CLIP_STD)(PICTURE)
    assert torch.equal(found, transforms.Normalize(CLIP_MEAN, CLIP_STD)(transforms.ToTensor()(Image.fromarray(PICTURE))))
    plain = Input(mean=(0, 0, 0), std=(1, 1, 1))(PICTURE)
    assert torch.equal(plain, torch.from_numpy(PICTURE.transpose(2, 0, 1).copy()).float() / 255)


def test_a_crop_may_round_down() -> None:
    picture = np.arange(7, dtype=np.uint8)[:, None, None].repeat(7, axis=1).repeat(3, axis=2)
    assert Input(crop=4).pixels(picture)[:, 0, 0].tolist() == [2, 3, 4, 5]
    assert Input(crop=4, rounding="down").pixels(picture)[:, 0, 0].tolist() == [1, 2, 3, 4]


class _Two(nn.Module):
    """Classes (a, b) with logits (1, brightness)."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        bright = images.mean(dim=(1, 2, 3))
        return torch.stack([torch.ones_like(bright), bright], dim=1)


def _brightness(images: torch.Tensor) -> torch.Tensor:
    return images.mean(dim=(1, 2, 3))


UNIT = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


@pytest.mark.parametrize(
    ("model", "output", "wanted"),
    [
        (_brightness, "logit", lambda b: b),
        (_brightness, "logit-of-real", lambda b: -b),
        (lambda x: _brightness(x)[:, None], "probability", lambda b: np.log(b / (1 - b))),
        (_brightness, "probability-of-real", lambda b: -np.log(b / (1 - b))),
        (_Two(), "real-fake", lambda b: b - 1),
        (_Two(), "fake-real", lambda b: 1 - b),
        (lambda x: SimpleNamespace(logits=_Two()(x)), "real-fake", lambda b: b - 1),
    ],
)
def test_every_output_becomes_a_logit_that_is_high_for_fakes(model, output: str, wanted) -> None:
    detector = from_model(model, name="mine", output=output, **UNIT)
    assert score(PICTURE, detector=detector, return_logit=True) == pytest.approx(wanted(PICTURE.mean() / 255), abs=1e-5)


def test_images_of_all_sizes_reach_the_model_in_its_own() -> None:
    seen = []

    def model(images: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(images.shape[1:]))
        return _brightness(images)

    detector = from_model(model, name="mine", resize=40, crop=32)
    score([PICTURE, PICTURE[:50], PICTURE[:33, :20]], detector=detector)
    assert set(seen) == {(3, 32, 32)}


def test_what_fails_on_every_image_fails_before_the_first() -> None:
    with pytest.raises(ProtocolError, match="cannot take a batch.*resize, crop"):
        from_model(nn.Sequential(nn.Flatten(), nn.Linear(5, 1)), name="mine")
    with pytest.raises(ProtocolError, match=r"\[2, 2\].*Expected \[2, 1\]"):
        from_model(_Two(), name="mine")
    with pytest.raises(ProtocolError, match="Expected .2, 2."):
        from_model(_brightness, name="mine", output="real-fake")
    with pytest.raises(ProtocolError, match="Unknown output"):
        from_model(_brightness, name="mine", output="fake")
    with pytest.raises(ProtocolError, match="resize=0"):
        from_model(_brightness, name="mine", resize=0)
    with pytest.raises(UnknownNameError, match="bilinear"):
        from_model(_brightness, name="mine", resampling="bilinaer")


def _examples() -> list[str]:
    # The first one runs the embedded suite; the models of the others are random and small.
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("index", [1, 2, 3])
def test_examples_of_the_page_give_detectors(index: int) -> None:
    code = _examples()[index]
    for module in ("timm", "transformers"):
        if f"import {module}" in code:
            pytest.importorskip(module)
    scope: dict = {}
    exec(code, scope)
    assert 0 < score(PICTURE, detector=scope["detector"]) < 1
