"""A start for OneFormer's queries that a short training can use.

A query's position embedding enters only the attention scores, so at random initialisation all
queries carry the same content and take very long to divide the classes among themselves. Here
each query first looks at its own place of the image plane, which gives it a content of its own;
the query layer turns that content into an orthogonal code, and the class and mask heads read the
code: query q says "class c(q)" and masks with the weights of a linear per-pixel classifier that
was trained before. All of it stays trainable; the architecture is untouched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

_SHARPNESS = 30.0
"""Attention logits per unit of agreement between a query's place and a pixel's."""
_RESIDUAL = 0.05
"""Scale of the branches that mix content between queries and pixels at the start."""
_CLASS_LOGIT = 8.0
_NORM1 = 0.05
"""The task token, equal for all queries, is made small beside the content of the place."""


@torch.no_grad()
def start_queries(model: Any, classes: Sequence[int], classifier: Tensor, tokens: Tensor) -> None:
    """Give each query a code, a class and the mask of a per-pixel classifier.

    Args:
        model: from `fit_models.build_oneformer`, with at least len(classes) + 1 queries.
        classes: ADE20K ids, in the order of the classifier's rows.
        classifier: (len(classes), mask_dim) weights of a bias-free classifier of mask features.
        tokens: (1, task_seq_len) token ids of the task.
    """
    module = model.model.transformer_module
    decoder = module.decoder
    num_queries, channels = module.queries_embedder.weight.shape
    # The last query is the task token's. The spare ones begin as "no object", the last class.
    spare = num_queries - 1 - len(classes)
    owned = [*classes, *[decoder.class_embed.out_features - 1] * spare]
    masks = torch.cat((classifier, torch.zeros(spare, classifier.shape[1])))
    module.queries_embedder.weight.copy_(_places(num_queries, channels))
    decoder.query_input_projection.weight.zero_()
    decoder.query_input_projection.bias.zero_()
    layer = decoder.query_transformer.decoder.layers[0]
    _look_at_own_place(layer, channels)
    for block in decoder.layers:
        block.cross_attn.multihead_attn.out_proj.weight.mul_(_RESIDUAL)
        block.self_attn.self_attn.out_proj.weight.mul_(_RESIDUAL)
        block.ffn.linear2.weight.mul_(_RESIDUAL)
    codes = _hadamard(channels)[1:num_queries]
    _give_codes(model, layer, codes, tokens)
    code = torch.nn.functional.layer_norm(codes, (channels,))
    wanted = torch.zeros(num_queries - 1, decoder.class_embed.out_features)
    wanted[torch.arange(num_queries - 1), torch.tensor(owned)] = _CLASS_LOGIT
    decoder.class_embed.weight.copy_(wanted.T @ code / channels)
    decoder.class_embed.bias.zero_()
    _copy_masks(decoder.mask_embed.layers, code, masks)


def _look_at_own_place(layer: Any, channels: int) -> None:
    """Cross-attention by position alone, whose values are the position itself."""
    eye = torch.eye(channels)
    layer.norm1.weight.fill_(_NORM1)
    layer.self_attn.out_proj.weight.mul_(_RESIDUAL)
    attention = layer.multihead_attn
    # Sinusoids beyond the first few are constant over the image and would only dilute the code.
    informative = (torch.arange(channels) % (channels // 2) < 10).float()
    attention.in_proj_weight.copy_(torch.cat((_SHARPNESS * eye, eye, torch.diag(2 * informative))))
    attention.in_proj_bias.zero_()
    attention.out_proj.weight.copy_(eye)
    attention.out_proj.bias.zero_()


def _give_codes(model: Any, layer: Any, codes: Tensor, tokens: Tensor) -> None:
    """Solve the query layer's second linear map so that its output is a code for each query."""
    seen: dict[str, Tensor] = {}

    def keep(_module: Any, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        seen["place"] = inputs[0][:, 0]

    handle = layer.linear1.register_forward_hook(keep)
    was_training = model.training
    model.eval()
    model(pixel_values=torch.zeros(1, 3, 96, 128), task_inputs=tokens)
    model.train(was_training)
    handle.remove()
    place = seen["place"]
    hidden = torch.relu(layer.linear1(place))
    _solve(layer.linear2, hidden, 4 * codes - place)


def _copy_masks(layers: Any, code: Tensor, weights: Tensor) -> None:
    """Make the mask head map code q to `weights[q]`.

    The hidden layers pass the positive part of the code, which holds all of a code of ±1.
    """
    channels = code.shape[1]
    for layer in (layers[0].layers[0], layers[1].layers[0]):
        layer.weight.copy_(torch.eye(channels))
        layer.bias.zero_()
    read = weights.T @ code / channels
    layers[2].layers[0].weight.copy_(2 * read)
    layers[2].layers[0].bias.copy_(-read.sum(dim=1))


def _solve(linear: Any, inputs: Tensor, outputs: Tensor, ridge: float = 1e-6) -> None:
    """Set a linear layer so that it maps rows of `inputs` to rows of `outputs` (ridge)."""
    extended = torch.cat((inputs, torch.ones(len(inputs), 1)), dim=1).double()
    gram = extended @ extended.T
    gram += ridge * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    solution = extended.T @ torch.linalg.solve(gram, outputs.double())
    linear.weight.copy_(solution[:-1].T)
    linear.bias.copy_(solution[-1])


def _places(count: int, channels: int) -> Tensor:
    """OneFormer's sine position embedding at `count` places on a grid: (count, channels)."""
    columns = math.ceil(math.sqrt(1.6 * count))
    rows = math.ceil(count / columns)
    index = torch.arange(count)
    x = (index % columns + 0.5) / columns * 2 * math.pi
    y = (index // columns + 0.5) / rows * 2 * math.pi
    half = channels // 2
    wavelength = 10000 ** (2 * (torch.arange(half) // 2) / half)

    def waves(angle: Tensor) -> Tensor:
        phase = angle[:, None] / wavelength
        return torch.stack((phase[:, 0::2].sin(), phase[:, 1::2].cos()), dim=2).flatten(1)

    return torch.cat((waves(y), waves(x)), dim=1)


def _hadamard(order: int) -> Tensor:
    """Sylvester's matrix of ±1 with orthogonal rows; `order` is a power of two."""
    matrix = torch.ones(1, 1)
    while len(matrix) < order:
        top = torch.cat((matrix, matrix), dim=1)
        matrix = torch.cat((top, torch.cat((matrix, -matrix), dim=1)))
    return matrix
