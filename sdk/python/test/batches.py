"""Batches as the host hands them over."""

from types import SimpleNamespace as Record

from petrel_plugin import Batch, Signals, Table
from petrel_plugin.registry import NONE, Kind


def column(**given):
    empty = dict(slot=0, key=NONE, kind=Kind.STRING, rows=[], codes=[], words=[], kinds=b"", present=[])
    return Record(**{**empty, **given})


def batch(plan, columns, *strings):
    """Two records of one resource, as a plugin sees them."""
    return Batch(raw(columns, *strings), plan)


def raw(columns, *strings, now_ns=5):
    blobs = [text.encode() for text in strings]
    ends = [sum(map(len, blobs[: index + 1])) for index in range(len(blobs))]
    tables = [Record(table=Table.RESOURCE, rows=1, parent=[]), Record(table=Table.SCOPE, rows=1, parent=[0])]
    tables.append(Record(table=Table.RECORD, rows=2, parent=[0, 0]))
    words = Record(ends=ends, bytes=b"".join(blobs))
    return Record(signal=Signals.TRACES, now_ns=now_ns, seed=7, tables=tables, dict=words, columns=columns)
