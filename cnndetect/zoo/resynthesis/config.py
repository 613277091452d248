"""How a decoder that paints photographs again is built and trained: one frozen configuration for every family."""

from __future__ import annotations

from dataclasses import dataclass

from cnndetect.data.photos import SIZE_PX
from cnndetect.errors import ProtocolError

START_PX = (8, 16, 32, 64)

# What drives a decoder: a trained encoder, the image reduced to the size of the first map, or the image's Bayer mosaic.
ENCODERS = ("learned", "reduced", "mosaic")


@dataclass(frozen=True)
class DrivenConfig:
    """A decoder driven by an encoder, its losses and its schedule."""

    family: str
    start_px: int = 32  # size of the decoder's first map for an image of 128 px; the depth follows
    width: int = 16  # feature maps at full size, doubled at every level below, at most ``widest``
    seed: int = 0
    steps: int = 1500
    batch: int = 16
    crop_px: int = 64
    lr: float = 2e-3
    slope: float = 0.2  # of leaky ReLU
    first_kernel: int = 3  # odd kernel of the decoder's first convolution
    fade: float = 1.0  # weight of the last level against the one below, as in ProGAN's fade-in; 1 is fully grown
    noise: float = 0.0  # standard deviation of what is added to the encoder's maps
    l1: float = 1.0
    gradients: float = 1.0
    energy: float = 5.0
    features: float = 0.1
    adversarial: float = 0.02
    widest: int = 96  # widest, encoder_width: most feature maps, and those of the encoder's first layer
    encoder_width: int = 24
    encoder: str = "learned"  # one of ENCODERS
    categories: tuple[str, ...] = ()  # folders of photographs it learned from; empty means all

    def __post_init__(self) -> None:
        if self.start_px not in START_PX:
            raise ProtocolError(
                f"A decoder cannot start at {self.start_px} px. Expected one of {', '.join(map(str, START_PX))} (of {SIZE_PX})."
            )
        if self.first_kernel % 2 == 0:
            raise ProtocolError(f"A first kernel of {self.first_kernel} px has no centre. Expected an odd number, such as 3.")

        if self.encoder not in ENCODERS:
            raise ProtocolError(f"An encoder {self.encoder!r} is unknown. Expected one of {', '.join(ENCODERS)}.")

    @property
    def levels(self) -> int:
        """Number of times the decoder doubles the size.

        >>> DrivenConfig("progan", start_px=32).levels
        2
        """
        return (SIZE_PX // self.start_px).bit_length() - 1

    @property
    def channels(self) -> tuple[int, ...]:
        """Feature maps from the first to the last level.

        >>> DrivenConfig("progan", start_px=8, width=16).channels
        (96, 96, 64, 32, 16)
        """
        return tuple(min(self.width * 2**level, self.widest) for level in range(self.levels, -1, -1))

    def architecture(self) -> dict[str, object]:
        """What a published family leaves open, for the record."""
        shown = ("start_px", "channels", "slope", "first_kernel", "fade", "noise", "encoder")
        return {name: getattr(self, name) for name in shown}
