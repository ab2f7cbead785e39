"""Any timm backbone as a pyramid of feature maps."""

from __future__ import annotations

import difflib
from typing import Any

import timm
import torch.nn.functional as F
from torch import Tensor, nn

from symbio.errors import SymbioError

COARSEST_STRIDE = 32


def padded_size(size: tuple[int, int]) -> tuple[int, int]:
    """`size` (H, W) in pixels, rounded up to multiples of 32: what an encoder takes."""
    height, width = (side + -side % COARSEST_STRIDE for side in size)
    return height, width


class Encoder(nn.Module):
    """A timm `features_only` model; its levels between strides 4 (or 2) and 32, finest first.

    The image is padded at the bottom and the right, by repeating its border, to multiples
    of 32; the maps cover the padded image, and whoever uses them crops.

    Args:
        name: a timm model name, with or without a tag of weights.
        pretrained: load timm's weights, from the hub or from its local cache.
        image_size: (H, W) in pixels. Encoders that timm marks as of fixed input size (MaxViT,
            CoAtNet, Swin, ViT) are built for its padded size and take no other: MaxViT's
            partition is that size / 32. All others take any size.

    Attributes:
        strides, channels: of each level; the strides are distinct powers of two.
        fixed_size: padded (H, W) in pixels that the encoder is bound to, or None.
        mean, std: of the three channels in 0..1, from the model's own configuration.

    Raises:
        SymbioError: timm has no such model, it has no usable feature maps, it cannot be built
            for the image size, or its weights cannot be had. On `forward`: a map has not the
            size that its stride says.
    """

    def __init__(self, name: str, pretrained: bool, image_size: tuple[int, int]) -> None:
        super().__init__()
        if not timm.is_model(name):
            near = difflib.get_close_matches(name, timm.list_models(), n=3)
            raise SymbioError(
                f"model.encoder: timm has no model {name!r}"
                + (f"; did you mean {' or '.join(near)}?" if near else "")
            )
        self.name = name
        config = timm.get_pretrained_cfg(name)
        fixed = bool(config is not None and config.fixed_input_size)
        self.fixed_size = padded_size(image_size) if fixed else None
        options: dict[str, Any] = {"img_size": self.fixed_size} if fixed else {}
        self.body = _create(name, pretrained, options)
        usable = _usable_levels(self.body)
        if usable != tuple(self.body.feature_info.out_indices):
            # Built again, so that no parameter is left without a use.
            self.body = _create(name, pretrained, {**options, "out_indices": usable})
        self.strides: tuple[int, ...] = tuple(self.body.feature_info.reduction())
        self.channels: tuple[int, ...] = tuple(self.body.feature_info.channels())
        self.channels_last = str(getattr(self.body, "output_fmt", "NCHW")).endswith("NHWC")
        own = self.body.pretrained_cfg
        self.mean: tuple[float, ...] = tuple(own["mean"])
        self.std: tuple[float, ...] = tuple(own["std"])

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B,3,H,W) normalised -> maps (B,channels[i],H'/strides[i],W'/strides[i]), where
        (H', W') = `padded_size` of (H, W), which must equal `fixed_size` where that is set."""
        height, width = image.shape[-2:]
        padded = padded_size((height, width))
        assert self.fixed_size in (None, padded), (self.fixed_size, padded)
        if padded != (height, width):
            image = F.pad(image, (0, padded[1] - width, 0, padded[0] - height), mode="replicate")
        features: list[Tensor] = self.body(image)
        if self.channels_last:
            features = [feature.permute(0, 3, 1, 2) for feature in features]
        for feature, stride in zip(features, self.strides, strict=True):
            if tuple(feature.shape[-2:]) != (padded[0] // stride, padded[1] // stride):
                raise SymbioError(
                    f"model.encoder: {self.name} turns an image of {padded} pixels into a map of "
                    f"{tuple(feature.shape[-2:])} at stride {stride}; take an encoder whose "
                    "convolutions are padded"
                )
        return features


def _create(name: str, pretrained: bool, options: dict[str, Any]) -> Any:
    try:
        return timm.create_model(name, pretrained=pretrained, features_only=True, **options)
    except Exception as error:  # timm and the hub's clients each raise their own kinds
        first_line = (str(error).strip().splitlines() or [""])[0]
        reason = f"{type(error).__name__}: {first_line}"
        if pretrained:
            raise SymbioError(
                f"model.encoder: {name} with its pretrained weights cannot be had ({reason}). Set "
                "model.pretrained: false, or put the weights into the local hub cache "
                "(HF_HOME, or TORCH_HOME for older models) on a machine that reaches the hub"
            ) from error
        raise SymbioError(
            f"model.encoder: {name} cannot be built as a feature pyramid "
            f"with {options or 'its defaults'} ({reason}); take another encoder or image_size"
        ) from error


def _usable_levels(body: Any) -> tuple[int, ...]:
    """Indices of the deepest level of each stride in 2..32.

    Raises:
        SymbioError: a stride is not a power of two, or none is in 4..32.
    """
    info = body.feature_info
    deepest = {
        stride: index
        for stride, index in zip(info.reduction(), info.out_indices, strict=True)
        if 2 <= stride <= COARSEST_STRIDE
    }
    if max(deepest, default=0) < 4 or any(stride & (stride - 1) for stride in deepest):
        raise SymbioError(
            f"model.encoder: its feature maps have strides {list(info.reduction())}; needed are "
            f"powers of two, at least one in 4..{COARSEST_STRIDE}"
        )
    return tuple(deepest[stride] for stride in sorted(deepest))
