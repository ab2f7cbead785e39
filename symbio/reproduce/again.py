"""Making one stage of a version again, from recorded inputs, and comparing what it made."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.files import read_json, sha256_of, whole_folder
from symbio.lineage.recorded import Recorded
from symbio.model.saved import CARD, WEIGHTS
from symbio.predict.source import fetch_network
from symbio.progress import say
from symbio.reproduce.objects import Difference, compare, put
from symbio.reproduce.pipeline import inputs_of, out_of, run_stage
from symbio.reproduce.result import Result
from symbio.reproduce.retrained import LOSS, losses_of, parted, weights_difference
from symbio.reproduce.scores import scores_of
from symbio.reproduce.store import RecordedData
from symbio.tracking.outage import told_as_error
from symbio.tracking.scores import require_weights
from symbio.tracking.store import open_store, tracking_uri
from symbio.tracking.training import WEIGHTS_TAG

REBUILT = "rebuilt"
"""Folder of a network whose weights are not the registered ones."""

_SHOWN_TENSORS = 10


@dataclass(slots=True)
class Again:
    """What the stages of one reproduction have in common."""

    root: Path
    """The project's folder."""
    folder: Path
    """The reproduction's."""
    checkout: Path
    record: Recorded
    data: RecordedData
    python: Path
    _in_place: set[str] = field(default_factory=set)

    def make(self, stage: str) -> Result:
        """Run a stage; afterwards its output is the recorded one, where that can be had.

        Raises:
            SymbioError: it failed, or an input is not to be had.
        """
        dataset = self.record.dataset
        for path in inputs_of(stage, dataset, self._raw):
            self._put(path)
        path = out_of(stage, dataset)
        self._in_place.discard(path)
        begun = time.monotonic()
        self._run(stage)
        seconds = time.monotonic() - begun
        out = self.data.out(path)
        difference = None if out is None else compare(out, self.checkout)
        result: dict[str, Any] = {
            "stage": stage,
            "out": path,
            "seconds": seconds,
            "difference": difference,
            "recorded": out is not None,
        }
        if stage == "train":
            result |= self._training()
        elif stage == "evaluate" and self.record.metrics:
            result |= {"scores": tuple(scores_of(self.record.metrics, self._metrics()))}
        return Result(**result, kept=not self._settle(path, difference))

    @property
    def _raw(self) -> str:
        return str(self.record.params[self.record.dataset]["raw"])

    def _run(self, stage: str) -> None:
        record = self.record
        say(f"{stage}@{record.dataset}: again, in {self.checkout}")
        run_stage(stage, record.dataset, self.checkout, self.python, record.ranks, record.threads)

    def _put(self, path: str) -> None:
        """Let the checkout hold the recorded input, if it does not yet."""
        if path in self._in_place:
            return
        target = self.checkout / path
        if self.data.whole(path):
            out = self.data.out(path)
            assert out is not None
            put(self.data.cache, out, self.checkout)
            if path.startswith("models/") and not self._is_registered(target):
                # dvc.lock was written by another training than the registered one.
                self._put_registered(target)
        elif path.startswith("models/"):
            self._put_registered(target)
        elif path == self._raw and self.data.raw_is_here():
            _point(target, self.root / path)
        elif not target.is_dir():
            raise SymbioError(
                f"{path}: is neither in the store, nor was it made here; begin with the stage "
                "that makes it (--from)"
            )
        self._in_place.add(path)

    def _settle(self, path: str, difference: Difference | None) -> bool:
        """Put the recorded output where another was made; False: it is not to be had."""
        same = difference is not None and not difference.files
        if same or path.startswith("reports/"):
            self._in_place.add(path)
            return True
        self._put(path)
        return self.data.whole(path) or path.startswith("models/")

    def _is_registered(self, model: Path) -> bool:
        return sha256_of(model / WEIGHTS) == self.record.version.tags[WEIGHTS_TAG]

    def _put_registered(self, target: Path) -> None:
        """The network of the registered package: the weights and their card."""
        with tempfile.TemporaryDirectory(prefix="symbio-reproduce-") as temporary:
            network = fetch_network(self.record.version.uri, self.root, Path(temporary))
            require_weights(self.record.version, network)
            with whole_folder(target) as aside:
                for name in (WEIGHTS, CARD):
                    shutil.copyfile(network / name, aside / name)

    def _training(self) -> dict[str, Any]:
        """Weights and losses beside the registered ones; if they differ, the new scores too."""
        dataset, version = self.record.dataset, self.record.version
        made = self.checkout / out_of("train", dataset)
        with told_as_error(f"{version.uri}: cannot be had from {tracking_uri(self.root)}"):
            history = open_store(self.root).get_metric_history(version.run_id, LOSS)
        before = {int(one.step): float(one.value) for one in history}
        after = losses_of(self.checkout / "checkpoints" / dataset)
        found = {
            "same_weights": self._is_registered(made),
            "parted": parted(before, after),
            "num_steps": len(before.keys() & after.keys()),
        }
        return found if found["same_weights"] else {**found, **self._other_network()}

    def _other_network(self) -> dict[str, Any]:
        """How far a network with other weights is from the registered one, which takes its place.

        The other one is kept beside the checkout.
        """
        dataset, rebuilt = self.record.dataset, self.folder / REBUILT
        model = out_of("train", dataset)
        with whole_folder(rebuilt) as aside:
            shutil.copytree(self.checkout / model, aside, dirs_exist_ok=True)
        say(f"its weights are not the registered ones; they are kept in {rebuilt}")
        self._run("evaluate")
        scores = scores_of(self.record.metrics, self._metrics(), "trained.")
        self._put(model)
        tensors = weights_difference(self.checkout / model / WEIGHTS, rebuilt / WEIGHTS)
        most = [(one.name, f"{one.largest:.3g}", f"{one.scale:.3g}") for one in tensors]
        return {
            "tensors": tuple(most[:_SHOWN_TENSORS]),
            "num_tensors": len(tensors),
            "scores": tuple(scores),
        }

    def _metrics(self) -> dict[str, Any]:
        path = self.checkout / "metrics" / f"{self.record.dataset}.json"
        metrics: dict[str, Any] = read_json(path, "what the evaluation found")
        return metrics


def _point(link: Path, to: Path) -> None:
    """Let `link` be a link to the folder `to`; an absolute path of raw data is there already."""
    if link == to:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(to.resolve())
