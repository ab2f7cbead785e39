"""The teacher: a transformers segmentation model that speaks ADE20K's 150 classes.

OneFormer, Mask2Former, MaskFormer, SegFormer and whatever else transformers loads for universal
or semantic segmentation. Only safetensors weights are read, because a pickle can run code, and
nothing but the files of one folder is used (`symbio.label.source` finds it).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from symbio.data.classes import NUM_CLASSES
from symbio.errors import SymbioError
from symbio.files import read_json
from symbio.label.source import PROCESSORS, find_folder, teacher_files

Precision = Literal["fp32", "bf16"]

_HEADS = ("ForUniversalSegmentation", "ForInstanceSegmentation", "ForSemanticSegmentation")


@dataclass(frozen=True, slots=True)
class Teacher:
    """A loaded teacher on one device."""

    name: str
    """What params say: `teacher.model`."""
    folder: Path
    files: dict[str, str]
    """SHA-256 of each of its files, by name."""
    model: Any
    processor: Any
    """Image processor."""
    task_tokens: Tensor | None
    """Token ids of the semantic task, (1, L); None for models without a task input."""
    device: torch.device
    precision: Precision
    """bf16: matrix products and convolutions in bfloat16 (autocast), the weights stay float32."""


def load_teacher(
    name: str,
    root: Path = Path("."),
    device: torch.device | str = "cpu",
    precision: Precision = "fp32",
) -> Teacher:
    """Load `teacher.model`.

    Args:
        name: as `symbio.label.source.find_folder` takes it.
        root: the project's folder.
        device: where the model runs.
        precision: `teacher.precision`.

    Raises:
        SymbioError: the folder lacks files, the weights are damaged or of another model, the
            classes are not ADE20K's 150, or the hub cannot be reached.
    """
    folder = find_folder(name, root)
    files = teacher_files(folder)
    model = load_model(folder).to(device).eval()
    processor = _image_processor(folder)
    tokens = _task_tokens(folder, model.config) if model.config.model_type == "oneformer" else None
    return Teacher(name, folder, files, model, processor, tokens, torch.device(device), precision)


def load_model(folder: Path) -> Any:
    """The model in a folder, float32, on the CPU.

    Raises:
        SymbioError: it is no segmentation model, its weights are damaged or do not fill it, or
            its classes are not 150.
    """
    import transformers
    from safetensors import SafetensorError

    config = read_json(folder / "config.json", "a transformers model's configuration")
    names = config.get("architectures") or ["none"]
    kind = getattr(transformers, names[0], None)
    if kind is None or not names[0].endswith(_HEADS):
        raise SymbioError(
            f"{folder / 'config.json'}: architecture {names[0]!r} is no segmentation model that "
            f"transformers {transformers.__version__} knows; expected a name that ends with "
            f"{' or '.join(_HEADS)}"
        )
    transformers.utils.logging.disable_progress_bar()
    try:
        model, report = kind.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as error:
        raise SymbioError(f"teacher.model: {folder} cannot be loaded: {error}") from error
    # The criterion's constants are made anew by every model and absent from some published files.
    absent = sorted(key for key in report["missing_keys"] if not key.startswith("criterion."))
    if absent:
        raise SymbioError(
            f"teacher.model: the weights in {folder} do not fill {names[0]}: {len(absent)} "
            f"tensors are missing, first {absent[0]!r}; the folder mixes two models"
        )
    if model.config.num_labels != NUM_CLASSES:
        raise SymbioError(
            f"teacher.model: {folder} knows {model.config.num_labels} classes; symbio needs a "
            f"model trained on ADE20K's {NUM_CLASSES}"
        )
    return model


def _image_processor(folder: Path) -> Any:
    from transformers import AutoImageProcessor

    options: dict[str, Any] = {}
    settings = _processor_settings(folder)
    if settings.get("class_info_file"):
        # Class metadata matters for training only. Take the copy beside the weights, else none:
        # by default the processor would fetch it from a hub repository.
        beside = (folder / settings["class_info_file"]).is_file()
        options = {"repo_path": str(folder)} if beside else {"class_info_file": None}
    try:
        return AutoImageProcessor.from_pretrained(folder, local_files_only=True, **options)
    except (OSError, ValueError, KeyError) as error:
        raise SymbioError(
            f"teacher.model: the processor in {folder} cannot be loaded: {error}"
        ) from error


def _processor_settings(folder: Path) -> dict[str, Any]:
    for name in PROCESSORS:
        if (folder / name).is_file():
            found: dict[str, Any] = read_json(folder / name, "an image processor's configuration")
            return dict(found.get("image_processor", found))
    return {}


def _task_tokens(folder: Path, config: Any) -> Tensor:
    """Token ids of "the task is semantic", as OneFormerProcessor gives them: float32 (1, L)."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, json.JSONDecodeError) as error:
        raise SymbioError(
            f"teacher.model: {folder} lacks OneFormer's tokenizer (tokenizer.json, or vocab.json "
            f"with merges.txt): {error}"
        ) from error
    tokens = tokenizer(
        "the task is semantic",
        padding="max_length",
        max_length=config.task_seq_len,
        truncation=True,
    )
    ids = torch.tensor(tokens["input_ids"]) * torch.tensor(tokens["attention_mask"])
    return ids[None].float()
