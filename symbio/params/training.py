"""What is trained, and how: the network, mixes, augmentation, the loop."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from symbio.params.numbers import Count, NotNegative, Positive, Share, Size
from symbio.params.section import Section


class SymbiosisParams(Section):
    """Depth-Semantics Symbiosis: how the two branches attend to each other."""

    exchange: str = "both"
    """none, convolution, full, local, global, both, or a registered exchange of your own."""
    directions: Literal["both", "sgt", "dgt"] = "both"
    heads: Count = 4
    window: Count = 7
    mlp_ratio: Positive = 4.0


class ModelParams(Section):
    """The network."""

    encoder: str
    """A timm model with `features_only`."""
    pretrained: bool
    channels: Count
    output_stride: Literal[4] = 4
    symbiosis: SymbiosisParams
    depth_output: Literal["sigmoid", "log"]
    semantics: bool = True
    """False: depth only, no semantic branch at all."""

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.channels % self.symbiosis.heads:
            raise ValueError(
                f"channels ({self.channels}) must be divisible by symbiosis.heads "
                f"({self.symbiosis.heads})"
            )
        return self


class ThresholdParams(Section):
    """Where Near ends: uniform in metres, or a quantile of the pair's depths."""

    mode: Literal["metres", "quantile"]
    low: NotNegative
    high: NotNegative

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) must not exceed high ({self.high})")
        if self.mode == "quantile" and self.high > 1.0:
            raise ValueError(f"high ({self.high}) must be at most 1 when mode is quantile")
        return self


class MixParams(Section):
    """NearFarMix, or one of the mixes that it is compared with."""

    mix: str
    """nearfarmix, cutmix, classmix, depthmix, random, none, or a registered mix of your own."""
    probability: Share
    threshold: ThresholdParams
    overlap: Literal["nearest", "first", "blend"]
    blend_alpha: Share
    guide_reach_px: Annotated[int, Field(ge=0, le=127)]
    """How far (pixels) a sparse map's measured depth reaches when regions are cut."""


class CutDepthParams(Section):
    """CutDepth: a rectangle of the image is replaced by its depth, drawn in grey."""

    probability: Share
    extent: Annotated[float, Field(gt=0.0, le=1.0)] = 0.75
    """The paper's p: how far the rectangle may reach towards the far edges."""
    white_m: Positive
    """Depth (metres) that is drawn white; nearer is darker in proportion, 0 m black."""


class AugmentParams(Section):
    """Augmentation of training frames, on the device."""

    flip: Share
    """Probability of a horizontal flip."""
    colour: Share
    """Probability of gamma, brightness and per-channel colour changes."""
    brightness: tuple[Positive, Positive]
    crop: Size | None = None
    """Height and width (pixels) of a random crop; None trains on the whole frame."""
    rotation: Annotated[float, Field(ge=0.0, le=45.0)] = 0.0
    """Largest angle (degrees) by which frames are turned, either way; 0 turns none."""
    cutdepth: CutDepthParams | None = None
    """None leaves it out."""


class SelectParams(Section):
    """The rule that chooses the exported model, on the val split."""

    metric: str


class TrainParams(Section):
    """The training run."""

    steps: Count
    """Optimiser steps."""
    batch: Count
    """Global batch: frames a step over all ranks."""
    micro_batch: Count
    """Frames of one forward on one rank; the rest is gradient accumulation."""
    lr: Positive
    weight_decay: NotNegative
    schedule: Literal["onecycle", "cosine"]
    warmup_share: Share
    clip_norm: Positive
    precision: Literal["fp32", "bf16"]
    zero_stage: Annotated[int, Field(ge=0, le=3)]
    ema_decay: Annotated[float, Field(ge=0.0, lt=1.0)]
    """Decay of the averaged weights; 0 switches them off."""
    semantic_weight: NotNegative
    class_balance: Share
    """Exponent of the inverse class frequency in the cross-entropy: 0 none, 1 full."""
    variance_focus: Share
    silog_scale: Positive
    checkpoint_every: Count
    keep_checkpoints: Count
    validate_every: Count
    select: SelectParams
    max_bad_steps: Count
    """Non-finite steps in a row after which the run stops."""
    augment: AugmentParams

    @model_validator(mode="after")
    def _micro_divides(self) -> Self:
        if self.batch % self.micro_batch:
            raise ValueError(
                f"batch ({self.batch}) must be a multiple of micro_batch ({self.micro_batch})"
            )
        return self
