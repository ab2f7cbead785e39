"""Small segmentation models in the architectures of the big ones, made from nothing.

They speak ADE20K's 150 classes, so a folder made here and a downloaded one are interchangeable.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from symbio.data.classes import IGNORE, NUM_CLASSES, ade20k_names

HIDDEN = 64
"""Channels of the pixel decoder, the queries and the masks."""
_TASK_TOKENS = 16
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def build_oneformer(num_queries: int, backbone: str = "resnet10t") -> Any:
    """An `OneFormerForUniversalSegmentation` with random weights and masks at stride 2.

    Args:
        num_queries: object queries, the task token among them (Jain et al. 2023, section 3).
        backbone: a timm model with features at strides 2, 4, 8, 16.
    """
    from transformers import (
        OneFormerConfig,
        OneFormerForUniversalSegmentation,
        TimmBackboneConfig,
    )

    config = OneFormerConfig(
        backbone_config=TimmBackboneConfig(backbone=backbone, out_indices=[0, 1, 2, 3]),
        num_queries=num_queries,
        conv_dim=HIDDEN,
        mask_dim=HIDDEN,
        hidden_dim=HIDDEN,
        encoder_layers=1,
        encoder_feedforward_dim=4 * HIDDEN,
        decoder_layers=3,
        query_dec_layers=1,
        dim_feedforward=4 * HIDDEN,
        num_attention_heads=4,
        strides=[2, 4, 8, 16],
        common_stride=2,
        dropout=0.0,
        task_seq_len=_TASK_TOKENS,
        is_training=False,
        **_labels(),
    )
    return OneFormerForUniversalSegmentation(config)


def build_segformer() -> Any:
    """A small `SegformerForSemanticSegmentation` (Xie et al. 2021) with random weights."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    config = SegformerConfig(
        hidden_sizes=[32, 64, 128, 192],
        depths=[2, 2, 2, 2],
        num_attention_heads=[1, 2, 4, 6],
        strides=[2, 2, 2, 2],
        patch_sizes=[7, 3, 3, 3],
        decoder_hidden_size=128,
        drop_path_rate=0.0,
        classifier_dropout_prob=0.0,
        **_labels(),
    )
    return SegformerForSemanticSegmentation(config)


def save_processor(folder: Path, architecture: str, scale_divisor: int) -> None:
    """Write the processor's files beside the weights, class metadata included.

    Args:
        folder: where the model is saved.
        architecture: "oneformer" or "segformer".
        scale_divisor: frames are made this much smaller before the model sees them.
    """
    from transformers import OneFormerImageProcessor, OneFormerProcessor, SegformerImageProcessor
    from transformers.models.oneformer.image_processing_oneformer import prepare_metadata

    size = {"shortest_edge": 480 // scale_divisor, "longest_edge": 1240 // scale_divisor}
    common: dict[str, Any] = {"size": size, "image_mean": list(MEAN), "image_std": list(STD)}
    if architecture == "segformer":
        SegformerImageProcessor(**common).save_pretrained(folder)
        return
    classes = {str(i): {"isthing": 0, "name": name} for i, name in enumerate(ade20k_names())}
    image_processor = OneFormerImageProcessor(
        **common, num_text=0, num_labels=NUM_CLASSES, ignore_index=IGNORE
    )
    # Class metadata inside the processor's own file: with the name of a metadata file, loading
    # would look for it in a hub repository.
    image_processor.metadata = prepare_metadata(classes)
    OneFormerProcessor(
        image_processor=image_processor,
        tokenizer=_tokenizer(),
        max_seq_length=_TASK_TOKENS,
        task_seq_length=_TASK_TOKENS,
    ).save_pretrained(folder)


def task_tokens() -> Any:
    """Token ids of "the task is semantic", float32 (1, 16), as the processor gives them."""
    import torch

    tokens = _tokenizer()(
        "the task is semantic", padding="max_length", max_length=_TASK_TOKENS, truncation=True
    )
    ids = torch.tensor(tokens["input_ids"]) * torch.tensor(tokens["attention_mask"])
    return ids[None].float()


def _tokenizer() -> Any:
    """A CLIP tokenizer that knows the words of OneFormer's task prompt, and letters."""
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    symbols = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{c}</w>" for c in letters)]
    merges: list[tuple[str, str]] = []
    for word in ("the", "task", "is", "semantic", "instance", "panoptic"):
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while len(parts) > 1:
            pair = (parts[0], parts[1])
            if pair not in merges:
                merges.append(pair)
                symbols.append("".join(pair))
            parts = ["".join(pair), *parts[2:]]
    vocab = {symbol: index for index, symbol in enumerate(dict.fromkeys(symbols))}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=_TASK_TOKENS)


def _labels() -> dict[str, Any]:
    names = ade20k_names()
    return {
        "id2label": dict(enumerate(names)),
        "label2id": {name: index for index, name in enumerate(names)},
    }
