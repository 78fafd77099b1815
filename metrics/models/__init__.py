"""The database tables. `metrics.store` writes measurements, and `metrics.queries` and `metrics.admin` read them."""

from metrics.models.aliases import ModelAlias
from metrics.models.annotations import Annotation
from metrics.models.bookkeeping import (
    DemoClaim,
    MonitorOutage,
    RawFloor,
    RecentId,
    RetentionChange,
    RollupFloor,
    TableSize,
)
from metrics.models.labels import GaugeLabels, Series
from metrics.models.requests import (
    ErrorGroup,
    ErrorGroupRollup,
    ErrorMetrics,
    InferenceMetrics,
)
from metrics.models.rollups import GaugeRollup, InferenceRollup
from metrics.models.samples import (
    EngineMetrics,
    GPUMetrics,
    QueueMetrics,
    SystemMetrics,
)
from metrics.models.totals import RequestTotal, TotalsBoundary

__all__ = [
    "Annotation",
    "DemoClaim",
    "EngineMetrics",
    "ErrorGroup",
    "ErrorGroupRollup",
    "ErrorMetrics",
    "GPUMetrics",
    "GaugeLabels",
    "GaugeRollup",
    "InferenceMetrics",
    "InferenceRollup",
    "ModelAlias",
    "MonitorOutage",
    "QueueMetrics",
    "RawFloor",
    "RecentId",
    "RequestTotal",
    "RetentionChange",
    "RollupFloor",
    "Series",
    "SystemMetrics",
    "TableSize",
    "TotalsBoundary",
]
