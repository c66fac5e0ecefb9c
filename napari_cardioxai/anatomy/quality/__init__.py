"""Quality control: what looks wrong with labels and images, and where to look."""

from napari_cardioxai.anatomy.quality.findings import (
    Finding,
    NotJudged,
    Override,
    QualityError,
    QualityReport,
    overrides_path,
    read_overrides,
    write_overrides,
)
from napari_cardioxai.anatomy.quality.reference_rules import (
    REFERENCE_RANGES,
    ReferenceRange,
    ef_class,
)
from napari_cardioxai.anatomy.quality.rule import Rule
from napari_cardioxai.anatomy.quality.rules import RULES, check

__all__ = [
    "REFERENCE_RANGES",
    "RULES",
    "Finding",
    "NotJudged",
    "Override",
    "QualityError",
    "QualityReport",
    "ReferenceRange",
    "Rule",
    "check",
    "ef_class",
    "overrides_path",
    "read_overrides",
    "write_overrides",
]
