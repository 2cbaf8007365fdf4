"""What a plugin counts: about itself, or new telemetry; the host adds up and exports.

Instruments are declared in `configure` and recorded with in `process`. What is recorded counts when the answer was
accepted and the batch is on its way: what raises or is retried counts nothing twice. A plugin may have 32 instruments
and 1,000 series; what goes beyond is one series a metric, with the attribute `otel.metric.overflow`.
"""

from itertools import accumulate
from math import isfinite

from wit_world.imports import metrics, types

from .registry import ADDED, NONE


class _Instrument:
    _kind = 0

    def __init__(self, name, *, unit="", telemetry=False, labels=()):
        """Only in `configure`. `unit` is in UCUM's spelling: `ms`, `By`, `{call}`. With `telemetry` it is new
        telemetry, which the agent forwards, instead of something about the plugin, which it shows. `labels` are keys
        of attributes; of one that begins with `resource.` the rest is an attribute of the resource."""
        self._name = name
        self._labels = len(labels)
        self._id = metrics.declare(metrics.Instrument(name, unit, self._kind, int(telemetry), 0, list(labels)))

    def add(self, value=1):
        """Records one value of an instrument without labels."""
        metrics.add(self._id, float(value))

    def record(self, values, *labels):
        """Records a batch at once: `values` has one for each record, or is one for all; so has each of `labels`, in the
        order in which their keys were declared. A label is a code (`batch.labels(slot)` gives them), a text, or None.
        Values that are not finite are left out."""
        if len(labels) != self._labels:
            raise TypeError(f"{self._name} was declared with {self._labels} labels, not {len(labels)}")
        lists = [given for given in (values, *labels) if _is_list(given)]
        count = len(lists[0]) if lists else 1
        if any(len(given) != count for given in lists):
            raise ValueError(f"{self._name}: values and labels have to be of the same records")
        values, *columns = (given if _is_list(given) else [given] * count for given in (values, *labels))
        texts = {}
        coded = [[_code(label, texts) for label in column] for column in columns]
        rows = [index for index, value in enumerate(values) if isfinite(value)]
        if rows:
            blobs = [text.encode() for text in texts]
            extra = types.Blob(list(accumulate(map(len, blobs))), b"".join(blobs))
            codes = [column[index] for index in rows for column in coded]
            metrics.record_many(self._id, [float(values[index]) for index in rows], codes, extra)


class Counter(_Instrument):
    """A sum that only grows."""

    _kind = 1


class UpDownCounter(_Instrument):
    """A sum that goes up and down."""

    _kind = 2


class Gauge(_Instrument):
    """The newest value."""

    _kind = 3


class Histogram(_Instrument):
    """A distribution of values that are not below zero."""

    _kind = 4


def _is_list(given):
    return given is not None and not isinstance(given, (int, float, str))


def _code(label, texts):
    if label is None:
        return NONE
    if isinstance(label, str):
        return texts.setdefault(label, ADDED + len(texts))
    return label
