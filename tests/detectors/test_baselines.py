"""The baseline ranks by smoothness and by nothing else."""

from __future__ import annotations

import torch

from cnndetect.detectors.networks.baselines import smoothness


def test_blurring_raises_and_brightness_leaves_the_score() -> None:
    torch.manual_seed(0)
    images = torch.randn(4, 3, 32, 40)
    sharp = smoothness().logits(images)
    blurred = smoothness().logits(torch.nn.functional.avg_pool2d(images, 3, stride=1, padding=1))
    assert sharp.shape == (4,) and (blurred > sharp).all()
    assert torch.allclose(smoothness().logits(images + 5), sharp, atol=1e-5)
    assert smoothness().logits(torch.zeros(1, 3, 8, 8)).item() == 0
