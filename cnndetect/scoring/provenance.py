"""Provenance: which detector scored which images under which conditions."""

from __future__ import annotations

import json

import msgspec
from msgspec import UNSET, UnsetType


class Provenance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a set of scores was made from. Two runs with equal provenance have equal scores.

    >>> Provenance(detector="mine", identity=None, fingerprint="08d3", protocol="nocrop").degradation
    'none'
    """

    detector: str
    """Name of the detector."""
    identity: str | None
    """Digest of weights or source code; None where nothing proves that two runs used the same detector."""
    fingerprint: str
    """Digest of the images, their names and labels."""
    protocol: str
    """Preprocessing, a name of ``transforms.preprocess``."""
    degradation: str = "none"
    """What the images went through before, a name of ``transforms.degrade``."""
    seed: int = 0
    """Of random degradations."""
    weights_sha256: str | None = None
    threshold_logit: float | None = None
    """Frozen on validation images; None where the detector has none."""
    progan_only: bool | None = None
    """Whether the detector was trained on ProGAN images alone; None where nobody said."""
    suite: str | None = None
    """NAME@VERSION; None for images outside any suite."""
    test_set: str | None = None
    limit: int | None = None
    """Images per class of a trial; None for all of them."""
    backend: str | UnsetType = UNSET
    """What computed the logits, a name of ``cnndetect.backends``; older files do not name it, and it was torch."""
    precision: str | UnsetType = UNSET
    """The numbers that it computed in; float32 in older files."""

    def equals(self, other: Provenance) -> bool:
        """Whether scores of the one are scores of the other: every float32 engine gives torch's logits within 1e-4.

        >>> made = Provenance(detector="mine", identity=None, fingerprint="08d3", protocol="nocrop")
        >>> made.equals(msgspec.structs.replace(made, backend="onnxruntime"))
        True
        """
        return _comparable(self) == _comparable(other)

    def to_json(self) -> str:
        """One line of sorted JSON: the form in which files keep it."""
        return json.dumps(msgspec.to_builtins(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Provenance:
        """What ``to_json`` wrote. Raises ValueError for anything else."""
        return msgspec.json.decode(text.encode(), type=cls)


def _comparable(made: Provenance) -> Provenance:
    """Without the backend, where that does not matter."""
    return msgspec.structs.replace(made, backend=UNSET, precision=UNSET) if made.precision in (UNSET, "float32") else made
