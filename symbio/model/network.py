"""The network: encoder, decoder, Depth-Semantics Symbiosis, heads.

Shapes: B images, H rows and W columns of pixels, C channels, K classes. Depth is in metres.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symbio.errors import SymbioError
from symbio.model.decoder import Decoder
from symbio.model.encoder import Encoder, padded_size
from symbio.model.heads import DepthHead, SemanticHead
from symbio.model.initial import draws_of
from symbio.model.pixels import STRIDE, cross_entropy_sum, most_likely, upsample
from symbio.model.symbiosis import Neck, SymbioticTransformer
from symbio.params import ModelParams


class Prediction(NamedTuple):
    """What the network says about a batch. (A tuple, so that DeepSpeed's hooks see into it.)"""

    depth: Tensor
    """float32 (B,H,W), metres."""
    logits: Tensor | None
    """(B,K,H,W), or (B,K,ceil(H/4),ceil(W/4)) if asked for coarse; None without semantics."""


class SymbioticNetwork(nn.Module):
    """Depth and semantics of single images.

    Made by `build_network`; the arguments are its own.

    Any input size is taken. Where the encoder is bound to the size it was built for
    (`encoder.fixed_size`), an image whose padded size differs is resized bilinearly to
    `image_size` and the outputs are resized back; every other image is only padded.
    """

    mean_255: Tensor
    std_255: Tensor

    def __init__(
        self,
        params: ModelParams,
        image_size: tuple[int, int],
        depth_range: tuple[float, float],
        num_classes: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.params, self.image_size = params, image_size
        self.depth_range, self.num_classes = depth_range, num_classes
        self.says_classes = params.semantics
        """False: its logits are left out, for nothing has taught them."""
        channels = params.channels
        with draws_of("encoder", seed):
            self.encoder = Encoder(params.encoder, params.pretrained, image_size)
        with draws_of("decoder", seed):
            self.decoder = Decoder(self.encoder.strides, self.encoder.channels, channels, STRIDE)
        with draws_of("neck_depth", seed):
            self.neck_depth = Neck(channels)
        with draws_of("head_depth", seed):
            self.head_depth = DepthHead(channels, params.depth_output, depth_range)
        if params.semantics:
            with draws_of("neck_semantic", seed):
                self.neck_semantic = Neck(channels)
            self.symbiosis = SymbioticTransformer(channels, params.symbiosis, seed)
            with draws_of("head_semantic", seed):
                self.head_semantic = SemanticHead(channels, num_classes)
        for name in ("mean", "std"):
            value = torch.tensor(getattr(self.encoder, name)).reshape(1, 3, 1, 1) * 255.0
            self.register_buffer(f"{name}_255", value, persistent=False)

    def normalise(self, image: Tensor) -> Tensor:
        """uint8 RGB (B,3,H,W) -> float32 with the encoder's own mean and deviation."""
        return (image.float() - self.mean_255) / self.std_255

    def forward(self, image: Tensor, coarse_logits: bool = False) -> Prediction:
        """Predict.

        Args:
            image: float (B,3,H,W), normalised.
            coarse_logits: leave the logits at stride 4 of the working size, to be used with
                `upsample_logits`, `classes` or `cross_entropy_sum`; the last two spare K
                full-size maps per image.
        """
        size = (image.shape[-2], image.shape[-1])
        working = self.working_size(size)
        if working != size:
            image = F.interpolate(image, working, mode="bilinear", antialias=True)
        raw_depth, logits = self._at_stride_4(image)
        depth = self.head_depth.metres(upsample(raw_depth.float(), working, size))
        if logits is not None and not coarse_logits:
            logits = upsample(logits, working, size)
        return Prediction(depth.squeeze(1), logits)

    def upsample_logits(self, coarse: Tensor, size: tuple[int, int]) -> Tensor:
        """Logits left coarse -> (B,K,H,W) for images of `size` = (H, W)."""
        return upsample(coarse, self.working_size(size), size)

    def classes(self, coarse: Tensor, size: tuple[int, int]) -> Tensor:
        """Logits left coarse -> most likely class, uint8 (B,H,W), without K full-size maps."""
        return most_likely(coarse, self.working_size(size), size)

    def cross_entropy_sum(self, coarse: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
        """Logits left coarse -> `pixels.cross_entropy_sum` at the size of `labels` (B,H,W)."""
        working = self.working_size((labels.shape[-2], labels.shape[-1]))
        return cross_entropy_sum(coarse, labels, weight, working)

    def working_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The (H, W) at which images of `size` pass through the encoder."""
        bound = self.encoder.fixed_size
        return size if bound is None or bound == padded_size(size) else self.image_size

    def _at_stride_4(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        image = image.contiguous(memory_format=torch.channels_last)
        shared = self.decoder(self.encoder(image))
        # Padding ends here: nothing below sees it. (Rounded up without a negative number: divided
        # by ONNX's operators, one would be rounded the other way.)
        height, width = ((side + STRIDE - 1) // STRIDE for side in image.shape[-2:])
        shared = shared[..., :height, :width]
        depth = self.neck_depth(shared)
        if not self.params.semantics:
            return self.head_depth(depth), None
        depth, semantic = self.symbiosis(depth, self.neck_semantic(shared))
        logits = self.head_semantic(semantic) if self.says_classes else None
        return self.head_depth(depth), logits


def build_network(
    params: ModelParams,
    image_size: tuple[int, int],
    max_depth_m: float,
    min_depth_m: float,
    num_classes: int = 150,
    seed: int = 0,
) -> SymbioticNetwork:
    """Build the network; the initial weights of each part depend on `seed` and the part alone.

    Args:
        params: the `model` section; `semantics: false` leaves out the semantic branch and with
            it every exchange.
        image_size: (H, W) in pixels for which it is built.
        max_depth_m, min_depth_m: range of the predicted depth, metres.
        num_classes: K, at most 256.
        seed: of the initial weights; the global random state is neither used nor changed.

    Raises:
        SymbioError: the encoder or the exchange cannot be had.
    """
    if not 0.0 < min_depth_m < max_depth_m:
        raise SymbioError(
            f"depth_range needs 0 < min < max metres, found {min_depth_m} and {max_depth_m}"
        )
    return SymbioticNetwork(params, image_size, (min_depth_m, max_depth_m), num_classes, seed)
