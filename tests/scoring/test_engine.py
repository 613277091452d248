"""Batches of the scoring engine: one size each, few images waiting, decoded ahead in order."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
import torch

from cnndetect.detectors.base import Detector
from cnndetect.errors import ImageError
from cnndetect.scoring.engine import grouped, score_batches
from cnndetect.scoring.loader import Loaded, loaded_ahead
from cnndetect.scoring.staging import staged
from cnndetect.transforms.preprocess import to_tensor


def image(key: int, height: int, width: int) -> Loaded:
    return Loaded(key, np.broadcast_to(np.uint8(0), (height, width, 3)))


def test_mixed_sizes_never_meet_and_nothing_is_lost() -> None:
    seen = []
    for batch in grouped((image(index, 10 + index % 7, 20) for index in range(1000)), batch_size=16):
        assert len({one.size for one in batch}) == 1 and len(batch) <= 16
        seen += [one.key for one in batch]
    assert sorted(seen) == list(range(1000))


def test_a_stream_of_ever_new_sizes_stays_small() -> None:
    alive = most = 0

    def stream() -> Iterator[Loaded]:
        nonlocal alive
        for index in range(60):
            alive += 1
            yield image(index, 1000, 1000 + index)

    for batch in grouped(stream(), batch_size=8):
        most = max(most, alive)
        alive -= len(batch)
    assert most <= 26  # 24 megapixels wait at most


@pytest.mark.parametrize("ahead", [1, 5, 100])
def test_no_image_waits_for_more_later_ones_than_it_may(ahead: int) -> None:
    read = 0

    def stream() -> Iterable[Loaded]:
        nonlocal read
        for index in range(300):
            read = index
            yield image(index, 8, 8 + (index == 3))

    for batch in grouped(stream(), batch_size=7, ahead=ahead):
        assert read - min(one.key for one in batch) <= max(ahead, 6)


def test_images_are_loaded_in_threads_and_come_in_order() -> None:
    both = threading.Barrier(2, timeout=20)

    def load(index: int) -> np.ndarray:
        if index < 2:
            both.wait()  # the first two only return together
        if index == 4:
            raise ImageError("four is torn")
        return np.full((1, 1, 3), index, np.uint8)

    found = list(loaded_ahead(((index, lambda i=index: load(i)) for index in range(9)), threads=2))
    assert [one.key for one in found] == list(range(9))
    assert [one.error for one in found] == [None] * 4 + ["four is torn"] + [None] * 4
    assert [int(one.array[0, 0, 0]) for one in found if one.error is None] == [0, 1, 2, 3, 5, 6, 7, 8]


def test_an_error_that_is_not_about_the_image_is_not_swallowed() -> None:
    def broken() -> np.ndarray:
        raise KeyError("a mistake in the code")

    with pytest.raises(KeyError, match="a mistake"):
        list(loaded_ahead([(0, broken)]))


def test_a_failed_image_keeps_its_size_only_where_it_was_decoded() -> None:
    def detector(batch: torch.Tensor) -> torch.Tensor:
        return batch.mean((1, 2, 3)) * (float("inf") if batch.shape[2] == 5 else 1)

    def missing() -> np.ndarray:
        raise ImageError("missing")

    images = [(0, lambda: np.ones((5, 4, 3), np.uint8)), (1, missing), (2, lambda: np.ones((6, 4, 3), np.uint8))]
    found = {one.key: one for batch in score_batches(Detector("x", detector), images, batch_size=2) for one in batch}
    assert (found[0].size, found[1].size, found[2].size) == ((5, 4), None, (6, 4))
    assert found[1].error == "missing" and "logit" in str(found[0].error) and found[2].error is None


def test_batches_are_staged_in_order_and_a_failure_has_no_images() -> None:
    arrays = [np.full((4, 6, 3), level, np.uint8) for level in (0, 255)]
    failed = Loaded("bad", np.empty((0, 0, 3), np.uint8), "cannot be read")
    batches = [[Loaded(index, array) for index, array in enumerate(arrays)], [failed], [Loaded(2, arrays[1])]]
    found = list(staged(batches, "cpu"))
    assert [batch for batch, _ in found] == batches and found[1][1] is None
    assert torch.equal(found[0][1], torch.stack([to_tensor(array) for array in arrays]))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_staging_on_a_gpu_gives_the_same_images() -> None:
    rng = np.random.default_rng(0)
    batches = [[Loaded(index, rng.integers(0, 256, (32, 40, 3), dtype=np.uint8)) for index in range(3)] for _ in range(5)]
    for (batch, images), (_, expected) in zip(staged(batches, "cuda"), staged(batches, "cpu"), strict=True):
        assert len(batch) == 3 and images.is_cuda and images.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(images.cpu(), expected, atol=1e-6, rtol=0)
