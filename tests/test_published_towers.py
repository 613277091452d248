"""Detectors on large backbones: with a small tower of the same kind their logits are those of the authors' code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from published_cases import fill, images
from test_published import EXPECTED, agree
from torch import nn

from cnndetect.detectors.adapter import Adapter
from cnndetect.detectors.published import loading
from cnndetect.detectors.published.aide import Aide
from cnndetect.detectors.published.bfree import BFree
from cnndetect.detectors.published.c2pclip import C2PClip
from cnndetect.detectors.published.catalogue import PUBLISHED
from cnndetect.detectors.published.clipbased import ClipBased
from cnndetect.detectors.published.commfor import CommunityForensics
from cnndetect.detectors.published.d3 import D3
from cnndetect.detectors.published.dda import DDA
from cnndetect.detectors.published.drct import DrctConvNeXt
from cnndetect.detectors.published.fetching import find_weights, is_here
from cnndetect.detectors.published.rine import Probe, Rine
from cnndetect.detectors.published.univfd import UnivFD
from cnndetect.transforms.preprocess import to_tensor


def _tower(*, quick: bool, projected: bool = True, width: int = 128, layers: int = 3, heads: int = 2) -> nn.Module:
    transformer = pytest.importorskip("open_clip.transformer")
    sizes: dict[str, Any] = {"image_size": 224, "patch_size": 14, "width": width, "layers": layers, "heads": heads, "mlp_ratio": 4.0}
    options = {"act_layer": transformer.QuickGELU} if quick else {}
    visual = transformer.VisionTransformer(output_dim=768, **sizes, **options)
    if not projected:
        visual.proj = None
    return visual


def _c2p() -> nn.Module:
    pytest.importorskip("transformers")
    return C2PClip(hidden_size=128, intermediate_size=256, num_hidden_layers=3, num_attention_heads=2, image_size=224)


SMALL: dict[str, Callable[[], nn.Module]] = {
    "univfd": lambda: UnivFD(_tower(quick=True)),
    "rine-4class": lambda: Rine(_tower(quick=True), layers=2, features=32, width=128),
    "clipbased-latent10k": lambda: ClipBased(_tower(quick=False, projected=False), features=128),
    "d3": lambda: D3(_tower(quick=True, projected=False), width=128),
    "c2p-clip": _c2p,
    "commfor-224": lambda: CommunityForensics(224, depth=3),
    "commfor-384": lambda: CommunityForensics(384, depth=3),
    "drct-convnext-sdv14": lambda: DrctConvNeXt(depths=(1, 1, 2, 1), dims=(32, 64, 128, 256)),
    "aide-progan": lambda: Aide(depths=(1, 1, 1, 0), dims=(8, 16, 32, 3072)),
    "bfree": lambda: BFree(depth=2, embed_dim=64, num_heads=2),
    "dda": lambda: DDA(depth=2, embed_dim=64, num_heads=2),
}


def _whole_clip(*, quick: bool = True, projected: bool = True) -> nn.Module:
    return _tower(quick=quick, projected=projected, width=1024, layers=24, heads=16)


def _whole_c2p() -> nn.Module:
    pytest.importorskip("transformers")
    return C2PClip()


# At the size that their authors publish: [detector:whole] of the expected logits.
WHOLE: dict[str, Callable[[], nn.Module]] = {
    "univfd": lambda: UnivFD(_whole_clip()),
    "rine-4class": lambda: Rine(_whole_clip(), layers=2, features=1024),
    "clipbased-latent10k": lambda: ClipBased(_whole_clip(quick=False, projected=False)),
    "d3": lambda: D3(_whole_clip(projected=False)),
    "c2p-clip": _whole_c2p,
    "bfree": BFree,
    "commfor-224": lambda: CommunityForensics(224),
    "commfor-384": lambda: CommunityForensics(384),
    "drct-convnext-sdv14": DrctConvNeXt,
    "dda": DDA,
}


def filled(name: str, networks: dict[str, Callable[[], nn.Module]] = SMALL) -> nn.Module:
    """A network with the drawn weights that the authors' one had, by the authors' names; the small one by default."""
    if name in ("commfor-224", "commfor-384", "drct-convnext-sdv14", "aide-progan", "bfree", "dda"):
        pytest.importorskip("timm")
    network, record = networks[name](), PUBLISHED[name]
    part = network.get_submodule(record.part) if record.part else network
    theirs = {record.named_by_authors(key): value for key, value in part.state_dict().items()}
    loading.fill(network, record, fill(theirs), source="drawn weights")
    if record.part:
        rest = {key: value for key, value in network.state_dict().items() if not key.startswith(f"{record.part}.")}
        network.load_state_dict(fill(rest), strict=False)
    return network.eval()


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name == "aide-progan" else ()) for name in SMALL])
def test_a_small_tower_gives_the_logits_of_the_authors_code(name: str) -> None:
    wanted = EXPECTED[name]["logits"]
    adapter = Adapter(filled(name), PUBLISHED[name].prepare, PUBLISHED[name].output)
    with torch.inference_mode():
        found = {image: float(adapter(to_tensor(array)[None])) for image, array in images(wanted).items()}
    agree(found, wanted, PUBLISHED[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in WHOLE if f"{name}:whole" in EXPECTED])
def test_the_whole_network_gives_the_logits_of_the_authors_code(name: str) -> None:
    wanted = EXPECTED[f"{name}:whole"]["logits"]
    adapter = Adapter(filled(name, WHOLE), PUBLISHED[name].prepare, PUBLISHED[name].output)
    with torch.inference_mode():
        found = {image: float(adapter(to_tensor(array)[None])) for image, array in images(wanted).items()}
    agree(found, wanted, PUBLISHED[name])


def test_neighbours_in_a_batch_change_nothing() -> None:
    adapter = Adapter(filled("d3"), PUBLISHED["d3"].prepare)
    pictures = [to_tensor(array) for array in images(("grey", "even"), seed=1).values()]
    pictures = [picture[:, :224, :224] for picture in pictures]
    with torch.inference_mode():
        together = adapter(torch.stack(pictures))
        alone = torch.cat([adapter(picture[None]) for picture in pictures])
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_authors_probe_gives_their_logits_on_drawn_tokens() -> None:
    record, wanted = PUBLISHED["rine-2class"], EXPECTED["rine-2class:authors"]["logits"]
    if not is_here(record):
        pytest.skip("cnndetect detectors get rine-2class")
    probe = Probe(layers=4, features=128).eval()
    probe.load_state_dict(loading.read_state(find_weights(record).paths[0]))
    tokens = fill({"tokens": torch.zeros(5, 24, 1024)})["tokens"] * 32
    with torch.inference_mode():
        found = {str(index): float(logit) for index, logit in enumerate(probe(tokens))}
    agree(found, wanted, record)


def test_the_authors_layer_on_a_small_tower_gives_their_logits() -> None:
    record, wanted = PUBLISHED["univfd"], EXPECTED["univfd:authors"]["logits"]
    if not is_here(record):
        pytest.skip("cnndetect detectors get univfd")
    network = filled("univfd")
    loading.fill(network, record, loading.read_state(find_weights(record).paths[0]), source="fc_weights.pth")
    adapter = Adapter(network, record.prepare)
    with torch.inference_mode():
        found = {image: float(adapter(to_tensor(array)[None])) for image, array in images(wanted).items()}
    agree(found, wanted, record)
