"""What every adversarial family shares: two optimisers, a moving average, and the losses, each with its equation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnndetect.zoo.loop import Job


class Duel:
    """A generator, its averaged copy and a discriminator, each with Adam.

    lr: learning rates of generator and discriminator.  ema_images: half-life of the averaged generator, in images.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        job: Job,
        *,
        lr: tuple[float, float],
        betas: tuple[float, float],
        ema_images: float | None = None,
    ):
        self.generator, self.discriminator, self.job = job.place(generator), job.place(discriminator), job
        self.average = deepcopy(self.generator) if ema_images else None
        self.ema_images = ema_images
        self.generator_adam = torch.optim.Adam(self.generator.parameters(), lr[0], betas=betas)
        self.discriminator_adam = torch.optim.Adam(self.discriminator.parameters(), lr[1], betas=betas)

    def state(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """What a checkpoint holds. The generator that is exported is ``average`` where there is one, else ``network``."""
        kept: dict[str, nn.Module | torch.optim.Optimizer] = {
            "generator" if self.average is not None else "network": self.generator,
            "discriminator": self.discriminator,
            "generator_adam": self.generator_adam,
            "discriminator_adam": self.discriminator_adam,
        }
        return kept if self.average is None else {**kept, "average": self.average}

    def improve_discriminator(self, loss: Tensor) -> None:
        """One step of Adam on the discriminator."""
        _step(self.discriminator_adam, loss)

    def improve_generator(self, loss: Tensor, *, batch: int, restart: bool = False) -> None:
        """One step of Adam on the generator, then the average moves; with ``restart`` it takes the generator as it is.

        Layers that were not trained before a resolution began would stay in the average as noise.
        """
        _step(self.generator_adam, loss)
        if self.average is not None and self.ema_images:
            move_average(self.average, self.generator, decay=0.0 if restart else 0.5 ** (batch / self.ema_images))

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The discriminator without gradients of its own, while the generator learns through it."""
        self.discriminator.requires_grad_(False)
        try:
            yield
        finally:
            self.discriminator.requires_grad_(True)


@torch.no_grad()
def move_average(average: nn.Module, current: nn.Module, *, decay: float) -> None:
    """Exponential moving average of the parameters; buffers (batch statistics) are copied."""
    for slow, fast in zip(average.parameters(), current.parameters(), strict=True):
        slow.lerp_(fast, 1 - decay)
    for kept, fresh in zip(average.buffers(), current.buffers(), strict=True):
        kept.copy_(fresh)


def gradient_penalty(critic, real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    """Slope 1 between real and fake images (WGAN-GP, Gulrajani et al. 2017, equation 3): a scalar."""
    mix = torch.rand(len(real), 1, 1, 1, generator=rng).to(real.device)
    between = torch.lerp(real.float(), fake.float(), mix).requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(between).float().sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def r1_penalty(critic, real: Tensor) -> Tensor:
    """Mean squared gradient on real images (Mescheder et al. 2018, equation 9, without the factor gamma / 2): a scalar."""
    real = real.float().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(real).float().sum(), real, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1).mean()


def logistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """-log sigmoid(real) - log(1 - sigmoid(fake)) (Goodfellow et al. 2014, equation 1)."""
    return F.softplus(-real.float()).mean() + F.softplus(fake.float()).mean()


def logistic_generator(fake: Tensor) -> Tensor:
    """-log sigmoid(fake), the non-saturating loss (Goodfellow et al. 2014, section 3)."""
    return F.softplus(-fake.float()).mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """max(0, 1 - real) + max(0, 1 + fake) (Lim and Ye 2017; Miyato et al. 2018, equation 16)."""
    return F.relu(1 - real.float()).mean() + F.relu(1 + fake.float()).mean()


def least_squares(score: Tensor, target: float) -> Tensor:
    """Squared distance to the target (LSGAN, Mao et al. 2017)."""
    return (score.float() - target).square().mean()


def _step(adam: torch.optim.Optimizer, loss: Tensor) -> None:
    adam.zero_grad(set_to_none=True)
    loss.backward()
    adam.step()
