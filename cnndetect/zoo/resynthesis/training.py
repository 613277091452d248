"""Train an encoder and a generator's decoder to give photographs back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from cnndetect.features import PerceptualFeatures
from cnndetect.zoo.loop import Job, run, save_generator
from cnndetect.zoo.parts.adversarial import least_squares
from cnndetect.zoo.resynthesis.config import DrivenConfig
from cnndetect.zoo.resynthesis.crops import Photographs
from cnndetect.zoo.resynthesis.losses import PatchCritic, energy_loss, feature_loss, gradient_loss, high_bands, sharpness
from cnndetect.zoo.resynthesis.model import Resynthesiser

MODE = "resynthesised"
WEIGHTS = "resynthesiser.pt"

# Only the finer maps are asked for: what a photograph shows is settled by the pixels.
_FEATURE_MAPS = 3


def train(photos: Photographs, config: DrivenConfig, job: Job) -> Path:
    """Train encoder and decoder together on crops of ``photos``; write OUT/resynthesiser.pt and return its path. Resumes."""
    torch.manual_seed(config.seed)
    network = job.place(Resynthesiser(config))
    critic = job.place(PatchCritic())
    extractor = job.place(PerceptualFeatures(maps=_FEATURE_MAPS)) if config.features else None
    adam = torch.optim.Adam(network.parameters(), config.lr, betas=(0.9, 0.99))
    critic_adam = torch.optim.Adam(critic.parameters(), config.lr / 4, betas=(0.5, 0.99))

    def step(index: int, rng: torch.Generator) -> Mapping[str, Tensor | float]:
        for group in adam.param_groups:
            group["lr"] = config.lr * _rate(index / config.steps)
        real = photos.crops(config.batch, config.crop_px, rng).to(job.device, memory_format=torch.channels_last) * 2 - 1
        with mixed(job):
            fake = network(real, rng)
        fake = fake.float()
        l1 = (fake - real).abs().mean()
        ours, theirs = high_bands(fake), high_bands(real)
        energy = energy_loss(ours, theirs)
        loss = config.l1 * l1 + config.gradients * gradient_loss(fake, real) + config.energy * energy
        if extractor is not None:
            half = config.batch // 2
            with mixed(job):
                with torch.no_grad():
                    wanted = extractor(real[:half] * 0.5 + 0.5)[1:]
                found = extractor(fake[:half] * 0.5 + 0.5)[1:]
            loss = loss + config.features * feature_loss(found, wanted)
        if config.adversarial:
            critic.requires_grad_(False)
            with mixed(job):
                score = critic(fake)
            loss = loss + config.adversarial * least_squares(score, 1.0)
            critic.requires_grad_(True)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()

        if config.adversarial:
            with mixed(job):
                scores = critic(torch.cat([real, fake.detach()]))
            verdict = least_squares(scores[: len(real)], 1.0) + least_squares(scores[len(real) :], 0.0)
            critic_adam.zero_grad(set_to_none=True)
            verdict.backward()
            critic_adam.step()
        return {"l1": l1, "energy": energy, "sharpness": sharpness(ours[0].detach(), theirs[0])}

    state: dict[str, nn.Module | torch.optim.Optimizer] = {"network": network, "critic": critic, "adam": adam, "critic_adam": critic_adam}
    checkpoint = run(job, config.steps, step, state, config=config, seed=config.seed)
    return export(checkpoint, job.out / WEIGHTS)


def mixed(job: Job) -> AbstractContextManager:
    """bfloat16 where the device is fast at it, full precision elsewhere."""
    if job.device != "cpu":
        return torch.autocast("cuda", torch.bfloat16)
    fast = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.autocast("cpu", torch.bfloat16) if fast else nullcontext()


def _rate(progress: float) -> float:
    """Full learning rate for a third of the way, then a half cosine down to a fiftieth."""
    return 1.0 if progress < 1 / 3 else 0.02 + 0.49 * (1 + math.cos(math.pi * (progress - 1 / 3) * 1.5))


def export(checkpoint: str | Path, path: Path) -> Path:
    """Keep of a checkpoint what paints: half-precision weights and the configuration. Atomic."""
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    weights = {key: value.half() if value.is_floating_point() else value for key, value in content["state"]["network"].items()}
    kept = {"mode": MODE, "step": content["step"], "config": content["config"], "weights": weights}
    save_generator(path, kept)
    return path
