"""Where a teacher comes from: the names of `teacher.model`, and the files behind one."""

from __future__ import annotations

from pathlib import Path

from symbio.errors import SymbioError
from symbio.files import sha256_of

BUILTIN = "builtin:sample"
"""The small teacher that is shipped for the rendered sample."""
SHORT_NAMES = {
    "oneformer-swin-large": "shi-labs/oneformer_ade20k_swin_large",
    "mask2former-swin-large": "facebook/mask2former-swin-large-ade-semantic",
    "segformer-b5": "nvidia/segformer-b5-finetuned-ade-640-640",
}
"""Published models with ADE20K's 150 classes, as their authors put them on the hub."""

PROCESSORS = ("preprocessor_config.json", "processor_config.json")
"""Files that may hold the settings of an image processor; the first that is there counts."""

_REVISIONS = {
    "shi-labs/oneformer_ade20k_swin_large": "refs/pr/1",
    "nvidia/segformer-b5-finetuned-ade-640-640": "refs/pr/3",
}
"""Where a repository's safetensors are, if its main branch has pickled weights alone: the hub's
own conversion, which their authors have not merged."""
_BUILTIN_FOLDER = Path(__file__).with_name("builtin")
_HUB_FILES = ["*.json", "*.safetensors", "*.txt"]


def find_folder(name: str, root: Path = Path(".")) -> Path:
    """The folder that `teacher.model` means; what is on the hub is downloaded unless cached.

    Args:
        name: "builtin:sample", a short name, a folder (relative to `root` or absolute), or a
            hub name.
        root: the project's folder.

    Raises:
        SymbioError: there is no such folder, or the hub cannot be reached.
    """
    if name == BUILTIN:
        return _BUILTIN_FOLDER
    if name in SHORT_NAMES:
        return _from_hub(SHORT_NAMES[name])
    folder = root / name
    if folder.is_dir():
        return folder
    if folder.exists() or name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise SymbioError(
            f"teacher.model: {name!r} is no folder; give a folder with a transformers model, "
            f"{', '.join(SHORT_NAMES)}, another hub name such as "
            f"'shi-labs/oneformer_ade20k_swin_tiny', {BUILTIN!r}, or 'folder:PATH' for labels "
            "that were written elsewhere"
        )
    return _from_hub(name)


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    revision = _REVISIONS.get(name)
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_HUB_FILES))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SymbioError(
            f"teacher.model: {name!r} is no folder here and could not be fetched from the hub "
            f"({reason}). Download it where there is a network (`hf download {name}"
            f"{f' --revision {revision}' if revision else ''} --local-dir teacher`), bring the "
            "folder here and put its path in teacher.model"
        ) from error


def teacher_files(folder: Path) -> dict[str, str]:
    """SHA-256 of the files of a teacher's folder, by name: what a label was made with.

    Weights, configuration, image processor, tokenizer and class metadata are all among them.

    Raises:
        SymbioError: a file that every teacher needs is missing.
    """
    present = {path.name for path in folder.iterdir() if path.is_file()}
    missing = []
    if "config.json" not in present:
        missing.append("config.json")
    if not present & {"model.safetensors", "model.safetensors.index.json"}:
        missing.append("model.safetensors")
    if not present & set(PROCESSORS):
        missing.append("preprocessor_config.json")
    if missing:
        pickled = sorted(name for name in present if name.endswith((".bin", ".pt", ".pth")))
        hint = (
            f" ({', '.join(pickled)} can run code when loaded and is not read: convert it with "
            "`model.save_pretrained(folder)` on a machine that may run it)"
            if pickled
            else ""
        )
        raise SymbioError(f"teacher.model: {folder} lacks {', '.join(missing)}{hint}")
    kept = (".json", ".safetensors", ".txt")
    return {name: sha256_of(folder / name) for name in sorted(present) if name.endswith(kept)}
