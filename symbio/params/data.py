"""What is trained and scored on: data sets, the teacher, its labels."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from symbio.params.numbers import Count, Positive, Seed, Share, Size
from symbio.params.section import Section


class SampleParams(Section):
    """The rendered sample: how many frames, and the seed that they are drawn from.

    The seed is the data set's own, so that trainings of several seeds see the same frames.
    """

    train: Count
    test: Count
    seed: Seed = 7


class DatasetParams(Section):
    """One data set: where the official files are and how frames are read and scored."""

    raw: str
    """Folder of the official files, relative to the project's root."""
    layout: Literal["auto", "labelled", "sync", "annotated", "custom"] = "auto"
    train_list: str | None = None
    """Split list, relative to `raw`; None takes the official file found there."""
    test_list: str | None = None
    depth: Literal["raw", "filled", "velodyne"] = "raw"
    """Depth of training frames. NYU: with the sensor's holes (raw), or filled in. KITTI: annotated
    maps (raw), or also laser scans (velodyne) where a frame has no map."""
    image_size: Size
    """Height and width (pixels) at which the network sees frames."""
    depth_range: tuple[Positive, Positive]
    """Smallest and largest depth, metres."""
    protocol: str
    val_share: Annotated[float, Field(ge=0.0, lt=1.0)]
    """Share of the training list held out, by whole scene or drive, to choose the model."""
    sample: SampleParams | None = None
    """Of nyu and kitti."""

    @model_validator(mode="after")
    def _range(self) -> Self:
        low, high = self.depth_range
        if low >= high:
            raise ValueError(f"depth_range needs low < high, found {low} and {high}")
        return self


class TeacherParams(Section):
    """The model that writes pseudo-labels."""

    model: str
    """`builtin:sample`, a short name (`oneformer-swin-large`, `mask2former-swin-large`,
    `segformer-b5`), a folder or hub name of a transformers segmentation model, or
    `folder:PATH` for labels that were written elsewhere."""
    min_confidence: Share
    """Pixels whose arg-max class is less probable become 255 (ignored)."""
    batch: Count
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: matrix products and convolutions in bfloat16; probabilities stay float32."""
    flip_average: bool = False
    image_size: Size | None = None
    """Height and width (pixels) that the teacher sees; None keeps its processor's own."""


class LabelsParams(Section):
    """Which of the teacher's labels training uses; without this section all of them, as they are.

    Validation and evaluation compare with all labels whatever stands here.
    """

    share: Share = 1.0
    """Of the training frames, those whose semantic labels are used; 0 trains depth alone."""
    noise: Share = 0.0
    """Share of the labelled regions (one class in one frame) that get another class."""
    min_confidence: Share = 0.0
    """Pixels of which the teacher was less sure are ignored."""
    space: Literal["ade20k", "nyu40", "nyu13", "cityscapes19"] = "ade20k"
    """The classes that the network predicts."""
