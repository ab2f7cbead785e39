"""params.yaml, typed: the truth of a run, checked before anything starts.

`data`, `training` and `studies` are its sections, `params` is the file as a whole; `section` reads
YAML strictly, and says of every wrong key what is allowed.
"""

from symbio.params.data import DatasetParams, LabelsParams, SampleParams, TeacherParams
from symbio.params.names import DATASETS
from symbio.params.params import (
    Params,
    dataset_argument,
    dataset_names,
    load_params,
    parse_params,
    section_in,
    section_key,
)
from symbio.params.studies import DimensionParams, MetricName, PromoteParams
from symbio.params.training import (
    AugmentParams,
    CutDepthParams,
    MixParams,
    ModelParams,
    SymbiosisParams,
    ThresholdParams,
    TrainParams,
)

__all__ = [
    "DATASETS",
    "AugmentParams",
    "CutDepthParams",
    "DatasetParams",
    "DimensionParams",
    "LabelsParams",
    "MetricName",
    "MixParams",
    "ModelParams",
    "Params",
    "PromoteParams",
    "SampleParams",
    "SymbiosisParams",
    "TeacherParams",
    "ThresholdParams",
    "TrainParams",
    "dataset_argument",
    "dataset_names",
    "load_params",
    "parse_params",
    "section_in",
    "section_key",
]
