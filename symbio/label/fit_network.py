"""A teacher under training: the model, and what only its training needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from symbio.label import fit_models
from symbio.label.fit_loss import class_map, pixel_map


class Fitted(nn.Module):
    """The model and a per-pixel classifier of its mask features, which stage 1 trains."""

    classes: Tensor
    tokens: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, model: Any, universal: bool, classes: Sequence[int]) -> None:
        """Wrap a model.

        Args:
            model: from `fit_models`, or loaded.
            universal: whether it predicts queries (OneFormer) or logits (SegFormer).
            classes: (K) ADE20K ids that it is trained on.
        """
        super().__init__()
        self.model = model
        self.universal = universal
        self.classifier = nn.Parameter(torch.randn(len(classes), fit_models.HIDDEN) * 0.1)
        self.register_buffer("classes", torch.tensor(list(classes)), persistent=False)
        self.register_buffer("tokens", fit_models.task_tokens(), persistent=False)
        self.register_buffer("mean", torch.tensor(fit_models.MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(fit_models.STD).view(3, 1, 1), persistent=False)
        _give_plain_layout(model)

    def maps(self, image: Tensor, whole: bool) -> list[Tensor]:
        """Class maps to train on.

        Args:
            image: float (B, 3, H, W), 0..1.
            whole: with the queries (stage 2).

        Returns:
            (B, K, h, w) each: with the queries, the map that labelling uses, the one before the
            last decoder layer, and the per-pixel classifier's; in stage 1, the latter alone.
        """
        pixels = ((image - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        low = torch.cpu._is_avx512_bf16_supported()
        if not self.universal:
            with torch.autocast("cpu", torch.bfloat16, enabled=low):
                logits: Tensor = self.model(pixel_values=pixels).logits
            return [logits.float()[:, self.classes].softmax(1)]
        core = self.model.model
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            level = core.pixel_level_module(pixels)
        features = level.decoder_last_feature.float()
        linear = pixel_map(features, self.classifier)
        if not whole:
            return [linear]
        # Attention scores and codes need full precision, and cost little.
        queries = core.transformer_module(
            multi_scale_features=[feature.float() for feature in level.decoder_features],
            mask_features=features,
            task_token=core.task_encoder(self.tokens.expand(len(image), -1)),
        )
        early = queries.auxiliary_predictions[-1]
        return [
            class_map(queries.prediction_class, queries.prediction_masks, self.classes),
            class_map(early["class_queries_logits"], early["masks_queries_logits"], self.classes),
            linear,
        ]


def _give_plain_layout(model: nn.Module) -> None:
    """GroupNorm's backward on CPU is 20 times slower on channels-last tensors: give it others."""

    def before(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(tensor.contiguous() for tensor in inputs)

    def after(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.requires_grad:
            output.register_hook(torch.Tensor.contiguous)  # type: ignore[no-untyped-call]

    for module in model.modules():
        if isinstance(module, nn.GroupNorm):
            module.register_forward_pre_hook(before)
            module.register_forward_hook(after)
