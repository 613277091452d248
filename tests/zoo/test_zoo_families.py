"""Every generator family on tiny widths: it trains, resumes, exports, reproduces, and gradients reach what is trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import cnndetect.zoo.loop as loop
from cnndetect.zoo.families import (
    autogan,
    biggan,
    crn,
    cyclegan,
    dcgan,
    deepfake,
    gaugan,
    imle,
    progan,
    san,
    sitd,
    stargan,
    stylegan,
    stylegan2,
)
from cnndetect.zoo.loop import Job, generator_for
from cnndetect.zoo.parts.labels import group_by_appearance, warmth, warmth_borders
from cnndetect.zoo.registry import ELEVEN, FAMILIES, Generator, export, load_generator, pack

_SMALL = (8, 8, 8, 8, 8, 4)
_PHASES = ((8, 0, 8, 4), (16, 4, 4, 4))
TINY = {
    "progan": progan.ProGANConfig(channels=_SMALL, latent=8, phases=_PHASES, penalty_interval=2),
    "stylegan": stylegan.StyleGANConfig(channels=_SMALL, latent=8, mapping_layers=2, phases=_PHASES, penalty_interval=2),
    "biggan": biggan.BigGANConfig(channels=_SMALL, classes=2, embedding=4, chunk=4, steps=3, batch=2),
    "cyclegan": cyclegan.CycleGANConfig(width=4, blocks=1, warmup=1, steps=3, batch=1),
    "stargan": stargan.StarGANConfig(width=4, blocks=1, warmup=1, steps=5, batch=2),
    "gaugan": gaugan.GauGANConfig(channels=_SMALL, hidden=4, latent=4, critic_width=4, steps=3, batch=2),
    "crn": crn.CRNConfig(channels=_SMALL, steps=3, batch=2),
    "imle": imle.IMLEConfig(channels=_SMALL, noise=2, samples=2, steps=3, batch=2),
    "sitd": sitd.SITDConfig(width=4, steps=4, batch=2),
    "san": san.SANConfig(width=32, groups=1, blocks=1, steps=4, batch=2),
    "deepfake": deepfake.DeepfakeConfig(width=4, bottleneck=8, steps=4, batch=2),
    "stylegan2": stylegan2.StyleGAN2Config(channels=_SMALL, latent=8, mapping_layers=2, steps=3, batch=4, path_interval=2),
    "dcgan": dcgan.DCGANConfig(channels=(8, 8, 8, 8, 4), latent=8, steps=4, batch=4, lr=0.05),
    "autogan": autogan.AutoGANConfig(width=4, blocks=1, steps=3, batch=2),
}


def photos(count: int = 8) -> torch.Tensor:
    """Smooth random colour fields: uint8 [count, 3, 128, 128]."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return (torch.nn.functional.interpolate(coarse, 128, mode="bicubic").clamp(0, 1) * 255).to(torch.uint8)


def pixels(count: int) -> np.ndarray:
    return photos(count).permute(0, 2, 3, 1).numpy()


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> dict:
    """One whole run of every family."""
    root = tmp_path_factory.mktemp("families")
    return {name: FAMILIES[name].module.train(photos(), config, Job(root / name)) for name, config in TINY.items()}


@pytest.fixture(scope="module")
def generators(checkpoints, tmp_path_factory) -> dict[str, Generator]:
    root = tmp_path_factory.mktemp("exported")
    return {name: load_generator(export(name, path, root / f"{name}.pt")) for name, path in checkpoints.items()}


def test_every_family_is_tried_and_has_both_recipes() -> None:
    assert set(TINY) == set(FAMILIES) and len(ELEVEN) == 11
    for name, family in FAMILIES.items():
        assert type(family.module.CPU) is type(family.module.GPU) is type(TINY[name]), name


@pytest.mark.parametrize("name", list(TINY))
def test_a_seed_fixes_the_image_whatever_is_made_with_it(generators, name: str) -> None:
    generator, inputs = generators[name], pixels(3)
    three = list(generator.fakes(3, seed=5, photos=inputs))
    assert all(fake.shape == (128, 128, 3) and fake.dtype == np.uint8 for fake in three)
    assert np.array_equal(three[2], generator.fake(2, seed=5, photo=inputs[2]))
    if generator.family.kind == "unconditional" or name == "imle":
        assert not np.array_equal(three[2], generator.fake(2, seed=6, photo=inputs[2]))


@pytest.mark.parametrize("name", ["progan", "biggan", "sitd", "stylegan2"])
def test_a_packed_generator_is_half_the_size_and_makes_nearly_the_same_image(name: str, tmp_path) -> None:
    module = FAMILIES[name].module
    config = replace(module.CPU, phases=((128, 0, 4, 4),)) if name == "progan" else replace(module.CPU, steps=1, batch=4)
    half = export(name, module.train(photos(), config, Job(tmp_path)), tmp_path / "half.pt")
    packed = pack(half, tmp_path / "packed.pt")
    assert packed.stat().st_size < 0.62 * half.stat().st_size
    fakes = [load_generator(path).fake(0, seed=0, photo=pixels(1)[0]).astype(int) for path in (half, packed)]
    assert np.abs(fakes[0] - fakes[1]).mean() < 4


@pytest.mark.parametrize("name", list(TINY))
def test_a_killed_training_ends_with_the_same_weights(checkpoints, name: str, tmp_path, monkeypatch) -> None:
    if name == "cyclegan":
        # Its pool of earlier fakes is not stored: without a pool the rest must be the same.
        config = replace(TINY[name], pool=0)
        whole = FAMILIES[name].module.train(photos(), config, Job(tmp_path / "whole"))
    else:
        config, whole = TINY[name], checkpoints[name]
    original, calls = loop.generator_for, []

    def interrupted(seed: int, index: int, **options):
        calls.append(index)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(seed, index, **options)

    monkeypatch.setattr(loop, "generator_for", interrupted)
    with pytest.raises(KeyboardInterrupt):
        FAMILIES[name].module.train(photos(), config, Job(tmp_path / "cut", checkpoint_seconds=0))
    monkeypatch.undo()
    resumed = torch.load(FAMILIES[name].module.train(photos(), config, Job(tmp_path / "cut")), weights_only=True)
    expected = torch.load(whole, weights_only=True)
    assert resumed["step"] == expected["step"]
    part = "average" if "average" in expected["state"] else "network"
    for key, value in expected["state"][part].items():
        assert torch.allclose(value.float(), resumed["state"][part][key].float(), atol=1e-6), key


@pytest.mark.parametrize("name", list(TINY))
def test_training_moves_every_part_of_the_network(checkpoints, name: str) -> None:
    """What does not move is not trained: layers above the last resolution, and values that start and stay at zero gradient."""
    trained = torch.load(checkpoints[name], weights_only=True)["state"]
    part = trained.get("generator", trained.get("network"))
    torch.manual_seed(TINY[name].seed)
    module = FAMILIES[name].module
    fresh = (module.Generator if FAMILIES[name].kind == "unconditional" else module.Network)(TINY[name])
    still = [key for key, value in fresh.named_parameters() if torch.equal(value, part[key])]
    if name in ("progan", "stylegan"):
        # Grown to 16 px only: two blocks and the RGB layers of three levels.
        still = [key for key in still if not key.startswith(("to_rgb", "blocks.2", "blocks.3", "blocks.4"))]
    # A bias of the keys adds the same to every score of a softmax: it has no gradient.
    assert not [key for key in still if not key.endswith("key.bias")]


def test_style_fade_is_continuous() -> None:
    torch.manual_seed(0)
    generator = stylegan.Generator(TINY["stylegan"])
    styles = generator.style(torch.randn(2, 8))[:, None].repeat(1, generator.layers, 1)

    def at(level: int, alpha: float) -> torch.Tensor:
        return generator(styles, generator_for(0, 0), level=level, alpha=alpha)

    below = torch.nn.functional.interpolate(at(2, 1.0), scale_factor=2)
    assert torch.allclose(at(3, 0.0), below, atol=1e-5)
    assert torch.allclose(at(3, 0.25), torch.lerp(below, at(3, 1.0), 0.25), atol=1e-5)


def test_modulating_the_input_is_modulating_the_weights() -> None:
    torch.manual_seed(0)
    layer = stylegan2.ModulatedConv(4, 6, 8)
    x, style = torch.randn(1, 4, 9, 9), torch.randn(1, 8)
    weights = layer.weight * layer.scale * layer.affine(style)[0][None, :, None, None]
    weights = weights / (weights.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
    expected = torch.nn.functional.leaky_relu(torch.nn.functional.conv2d(x, weights, padding=1), 0.2) * 2**0.5
    assert torch.allclose(layer(x, style, generator_for(0, 0)), expected, atol=1e-5)


def test_path_length_of_a_linear_image_is_its_norm() -> None:
    styles = torch.randn(3, 2, 5, requires_grad=True)
    image = (styles.sum(dim=(1, 2)) * 7).view(3, 1, 1, 1).expand(3, 1, 4, 4)
    path = stylegan2.PathLength()
    path(image, styles, generator_for(0, 0))
    noise = torch.randn(image.shape, generator=generator_for(0, 0)) / 4
    expected = (7 * noise.sum(dim=(1, 2, 3))).abs() * 5**0.5
    assert torch.allclose(path.mean, 0.01 * expected.mean(), rtol=1e-4)


def test_truncated_noise_stays_within_its_bound(generators, monkeypatch) -> None:
    seen = []
    network = generators["biggan"].network
    monkeypatch.setattr(type(network), "forward", lambda self, z, classes: seen.append(z) or torch.zeros(1, 3, 128, 128))
    for index in range(20):
        biggan.sample(network, TINY["biggan"], generator_for(1, index))
    assert torch.cat(seen).abs().max() <= TINY["biggan"].truncation


def test_orthogonal_penalty_vanishes_for_orthogonal_filters() -> None:
    layer = torch.nn.Linear(4, 3, bias=False)
    layer.weight.data = torch.eye(3, 4) * 2
    assert biggan.orthogonal_penalty(layer) == 0
    layer.weight.data[1] = layer.weight.data[0]
    assert biggan.orthogonal_penalty(layer) == 2 * 4**2


def test_best_of_many_takes_the_nearest() -> None:
    assert imle.nearest(torch.tensor([[3.0, 1.0], [2.0, 5.0]])).tolist() == [1, 0]


def test_deepfake_changes_a_region_of_any_size_and_keeps_its_colours(generators) -> None:
    photo, config = pixels(1)[0], TINY["deepfake"]
    sides = set()
    for index in range(6):
        fake = generators["deepfake"].fake(index, seed=0, photo=photo)
        rows, columns = deepfake.place_of(torch.zeros(1, 3, 128, 128), config, generator_for(0, index))
        changed = (fake != photo).any(axis=2)
        assert changed[rows, columns].mean() > 0.3 and not changed[: rows.start].any() and not changed[:, columns.stop :].any()
        assert np.abs(fake[rows, columns].mean(axis=(0, 1)) - photo[rows, columns].mean(axis=(0, 1))).max() < 25
        sides.add(rows.stop - rows.start)
    assert len(sides) > 3 and config.sizes_px[0] <= min(sides) and max(sides) <= config.sizes_px[1]


def test_domains_are_equal_shares_from_cold_to_warm() -> None:
    many = photos(60)
    domain = torch.bucketize(warmth(many) / 255, warmth_borders(many, 3))
    assert torch.bincount(domain).tolist() == [20, 20, 20]
    assert warmth(many)[domain == 0].max() <= warmth(many)[domain == 2].min()
    network = stargan.Network(TINY["stargan"])
    network.borders.copy_(warmth_borders(many, 3))
    assert torch.equal(network.domain_of(many.float() / 127.5 - 1), domain)


def test_groups_follow_appearance() -> None:
    two = torch.cat([torch.zeros(3, 3, 128, 128), torch.full((3, 3, 128, 128), 200.0)]).to(torch.uint8)
    labels = group_by_appearance(two, 2)
    assert len(set(labels[:3].tolist())) == len(set(labels[3:].tolist())) == 1 and labels[0] != labels[3]


@pytest.mark.parametrize("name", ["deepfake", "autogan"])
def test_a_supervised_loss_overfits_eight_images(name: str, tmp_path) -> None:
    torch.manual_seed(0)
    module = FAMILIES[name].module
    if name == "deepfake":
        network = module.Network(replace(TINY[name], width=16, bottleneck=64))
        inputs, run = photos()[:, :, :64, :64].float() / 255, lambda x: network(x, 0)  # noqa: E731
    else:
        network = module.Network(replace(TINY[name], width=8))
        inputs, run = photos()[:, :, ::4, ::4].float() / 127.5 - 1, network
    adam = torch.optim.Adam(network.parameters(), 3e-3)
    losses = []
    for _ in range(100):
        loss = (run(inputs) - inputs).abs().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_a_start_gives_its_networks_and_another_width_is_refused(checkpoints, tmp_path) -> None:
    from cnndetect.errors import DataError

    start = checkpoints["sitd"]
    config = replace(TINY["sitd"], steps=1, lr=0.0)
    tuned = torch.load(sitd.train(photos(), config, Job(tmp_path / "tuned", start=start)), weights_only=True)
    for key, value in torch.load(start, weights_only=True)["state"]["network"].items():
        assert torch.equal(value, tuned["state"]["network"][key])
    assert len(tuned["config"]["start"]) == 16
    with pytest.raises(DataError, match="cannot be a start"):
        sitd.train(photos(), replace(config, width=8), Job(tmp_path / "wider", start=start))


def test_biggans_discriminator_sees_what_is_darker_than_mid_grey():
    torch.manual_seed(0)
    critic = biggan.Discriminator(biggan.CPU).eval()
    dark = torch.full((1, 3, 128, 128), -0.6, requires_grad=True)
    block = critic.blocks[0]
    main = block(dark) - block.skip(torch.nn.functional.avg_pool2d(dark, 2))
    (gradient,) = torch.autograd.grad(main.square().sum(), dark)
    assert (gradient.abs() > 1e-9).float().mean() > 0.9
    sizes = []
    critic.attention.register_forward_hook(lambda module, given, found: sizes.append(given[0].shape[-1]))
    critic(torch.zeros(1, 3, 128, 128), torch.zeros(1, dtype=torch.long))
    assert sizes == [biggan.CPU.attention_px]
    assert critic.blocks[-1](torch.zeros(1, biggan.CPU.channels[1], 4, 4)).shape[-1] == 4


def test_stylegan2s_mapping_network_learns_at_a_hundredth_of_the_rate():
    generator = stylegan2.Generator(stylegan2.CPU)
    fast, slow = generator.rates(0.1)
    assert slow["lr"] == pytest.approx(0.001) and len(slow["params"]) == len(list(generator.mapping.parameters()))
    assert len(fast["params"]) + len(slow["params"]) == len(list(generator.parameters()))
