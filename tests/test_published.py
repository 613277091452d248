"""Published detectors: their logits are those of their authors' code, and their records are whole."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from published_cases import fill, images

from cnndetect.detectors.adapter import Adapter
from cnndetect.detectors.published import loading
from cnndetect.detectors.published.catalogue import PUBLISHED
from cnndetect.detectors.published.fetching import find_weights, is_here
from cnndetect.detectors.published.record import Published
from cnndetect.detectors.published.shown import table
from cnndetect.transforms.preprocess import to_tensor

EXPECTED = json.loads((Path(__file__).parent / "published" / "expected.json").read_text(encoding="utf-8"))
DRAWN = [name for name, case in EXPECTED.items() if case["weights"] == "random" and name in PUBLISHED and not PUBLISHED[name].extra]


@cache
def _drawn() -> dict[str, np.ndarray]:
    return images()


def _logits(network: torch.nn.Module, record: Published, names: list[str]) -> dict[str, float]:
    adapter = Adapter(network.eval(), record.prepare, record.output)
    with torch.inference_mode():
        return {name: float(adapter(to_tensor(_drawn()[name])[None])) for name in names}


def _check(name: str, *, slow: bool) -> None:
    record, case = PUBLISHED[name], EXPECTED[name]
    wanted = {image: value for image, value in case["logits"].items() if (image in case.get("slow", [])) == slow}
    network = record.build()
    theirs = {record.named_by_authors(key): value for key, value in network.state_dict().items()}
    loading.fill(network, record, fill(theirs), source="drawn weights")
    agree(_logits(network, record, list(wanted)), wanted, record)


def agree(found: dict[str, float], wanted: dict[str, float], record: Published) -> None:
    """Every logit within the record's word of it."""
    assert isinstance(record.compared, float) and wanted
    tolerance = record.compared
    assert not {name: (found[name], value) for name, value in wanted.items() if abs(found[name] - value) > tolerance * max(1, abs(value))}


@pytest.mark.parametrize("name", DRAWN)
def test_random_weights_give_the_logits_of_the_authors_code(name: str) -> None:
    _check(name, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in DRAWN if EXPECTED[name].get("slow")])
def test_random_weights_give_the_logits_of_the_authors_code_on_larger_images(name: str) -> None:
    _check(name, slow=True)


@pytest.mark.parametrize("case", [name for name, case in EXPECTED.items() if case["weights"] == "authors"])
def test_the_authors_weights_give_their_logits(case: str) -> None:
    record = PUBLISHED[case.split(":")[0]]
    if not is_here(record):
        pytest.skip(f"cnndetect detectors get {record.name}")
    if record.files[0].name.endswith(".h5"):
        pytest.importorskip("h5py")
    network = record.build()
    for path in find_weights(record).paths:
        loading.fill(network, record, loading.read_state(path), source=path.name)
    agree(_logits(network, record, list(EXPECTED[case]["logits"])), EXPECTED[case]["logits"], record)


@pytest.mark.parametrize("record", PUBLISHED.values(), ids=lambda record: record.name)
def test_a_record_says_what_it_was_compared_with(record: Published) -> None:
    twins = [name for name, one in PUBLISHED.items() if one.architecture == record.architecture]
    assert isinstance(record.compared, str) == (not any(name.split(":")[0] in twins for name in EXPECTED))
    assert record.licence and record.trained_on and record.words and record.code.startswith("https://")
    assert record.name in table()
    json.dumps(record.as_plain())


def test_the_page_has_the_table() -> None:
    page = Path(__file__).resolve().parent.parent / "docs" / "published-detectors.md"
    assert table() in page.read_text(encoding="utf-8"), "paste what `cnndetect detectors published` prints"
