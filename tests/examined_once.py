"""`symbio.register.package.examine` for tests that register the same network many times.

Examining takes about ten seconds: a process that measures, and an export. The real one does it once
for each network and run of the tests; what it found is kept in files that all workers read.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from symbio.register.package import Examined


def examined_once(model: Path, into: Path) -> Examined:
    """As `examine`."""
    from symbio.register.package import Examined, examine
    from symbio.tracking.store import locked

    sha256 = json.loads((model / "model.json").read_text())["weights_sha256"]
    kept = _folder() / sha256
    # Another worker may be at it.
    with locked(_folder() / f"{sha256}.lock"):
        if not kept.is_dir():
            aside = Path(tempfile.mkdtemp(dir=_folder()))
            found = examine(model, aside)
            (aside / "examined.json").write_text(json.dumps(asdict(found)))
            aside.rename(kept)
    if (kept / "model.onnx").is_file():
        shutil.copyfile(kept / "model.onnx", into / "model.onnx")
    return Examined(**json.loads((kept / "examined.json").read_text()))


@functools.cache
def _folder() -> Path:
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())
    folder = Path(tempfile.gettempdir()) / f"symbio-examined-{run}"
    folder.mkdir(exist_ok=True)
    return folder
