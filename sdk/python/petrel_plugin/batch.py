"""A batch as a plugin sees it. Strings are decoded when they are looked at, and once."""

import struct
from math import nan
from typing import NamedTuple

from .registry import NONE, Kind, Signals, Table

WITH_CODE = (Kind.STRING, Kind.BYTES, Kind.JSON)


class Cell(NamedTuple):
    slot: int
    #: The attribute's key; None for a built-in field.
    key: object
    key_code: int
    row: int
    kind: int
    #: Of strings, bytes and JSON (which is text).
    code: object
    value: object


class Batch:
    def __init__(self, batch, plan):
        self._batch = batch
        self._plan = plan
        self._texts = {}
        self._tables = {rows.table: rows for rows in batch.tables}
        self.signal = batch.signal
        #: Wall clock, nanoseconds since 1970. `time.time()` is not there.
        self.now_ns = batch.now_ns
        #: Fresh for each batch. `random` is the same in each component's life.
        self.seed = batch.seed

    def rows(self, table):
        """How many rows a table has."""
        return self._tables[table].rows if table in self._tables else 0

    def parent(self, table, row):
        """The row above: of a record its scope (of a data point its metric), of a scope its resource."""
        return self._tables[table].parent[row]

    def resource_of(self, record):
        above = self.parent(Table.RECORD, record)
        if self.signal == Signals.METRICS:
            above = self.parent(Table.METRIC, above)
        return self.parent(Table.SCOPE, above)

    def blob(self, code):
        """The bytes with this code."""
        ends = self._batch.dict.ends
        return self._batch.dict.bytes[ends[code - 1] if code else 0 : ends[code]]

    def text(self, code):
        """The string with this code; senders are not to be trusted to send UTF-8."""
        text = self._texts.get(code)
        if text is None:
            text = self._texts[code] = self.blob(code).decode(errors="replace")
        return text

    def cells(self, slot):
        """Every value of a selector."""
        strings = self._plan.wants_strings
        for column in self._columns(slot):
            key = None if column.key == NONE or not strings else self.text(column.key)
            for index, row in self._places(column):
                kind, code, value = self._value(column, index)
                if code != NONE:
                    yield Cell(slot, key, column.key, row, kind, code, value)

    def get(self, slot, row):
        """The first value that a row has for a selector, or None."""
        return next((cell for cell in self.cells(slot) if cell.row == row), None)

    def values(self, slot):
        """What each record has for a selector: its first value, or None. What a resource, a scope or a metric has,
        all of its records have."""
        return self._per_record(slot, lambda column, index: self._value(column, index)[2])

    def labels(self, slot):
        """As `values`, for labels of metrics: strings as their codes, whole numbers and truth values as text."""
        return self._per_record(slot, self._label)

    def numbers(self, slot, factor=1.0):
        """As `values`, for values of metrics: numbers times `factor`, NaN where there is none."""
        numbers = self.values(slot)
        return [number * factor if type(number) in (int, float) else nan for number in numbers]

    def _label(self, column, index):
        kind = column.kinds[index] if column.kind == Kind.MIXED else column.kind
        if kind == Kind.STRING:
            return column.words[index] if column.kind == Kind.MIXED else column.codes[index]
        if kind not in (Kind.INT, Kind.UINT, Kind.BOOL):
            return None
        value = self._value(column, index)[2]
        return str(value).lower() if kind == Kind.BOOL else str(value)

    def _per_record(self, slot, read):
        table = self._plan.selectors[slot].table
        own = [None] * self.rows(table)
        for column in self._columns(slot):
            for index, row in self._places(column):
                if own[row] is None and not (column.codes and column.codes[index] == NONE):
                    own[row] = read(column, index)
        if table == Table.RECORD:
            return own
        return [own[row] for row in self._above(table)]

    def _above(self, table):
        """The row of `table` that each record belongs to."""
        if table not in (Table.RESOURCE, Table.SCOPE, Table.METRIC):
            raise ValueError("of events, links and exemplars a record may have many; use cells()")
        records = self._tables.get(Table.RECORD)
        rows = list(records.parent) if records else []
        # What the rows are of, and what is above that.
        above = {Table.METRIC: Table.SCOPE, Table.SCOPE: Table.RESOURCE}
        reached = Table.METRIC if self.signal == Signals.METRICS else Table.SCOPE
        while reached != table:
            parents = self._tables[reached].parent
            rows = [parents[row] for row in rows]
            reached = above[reached]
        return rows

    def codes(self, slot):
        """The distinct strings of a selector."""
        codes = set()
        for column in self._columns(slot):
            if column.kind == Kind.STRING:
                codes.update(column.codes)
            elif column.kind == Kind.MIXED:
                codes.update(word for kind, word in zip(column.kinds, column.words) if kind == Kind.STRING)
        codes.discard(NONE)
        return codes

    def _columns(self, slot):
        return (column for column in self._batch.columns if column.slot == slot)

    def _places(self, column):
        if column.rows:
            return enumerate(column.rows)
        rows = range(self.rows(self._plan.selectors[column.slot].table))
        if column.present:
            return ((row, row) for row in rows if column.present[row >> 6] >> (row & 63) & 1)
        return ((row, row) for row in rows)

    def _value(self, column, index):
        kind = column.kinds[index] if column.kind == Kind.MIXED else column.kind
        if kind in WITH_CODE:
            code = column.words[index] if column.kind == Kind.MIXED else column.codes[index]
            if code == NONE or not self._plan.wants_strings:
                return kind, code, None
            return kind, code, self.blob(code) if kind == Kind.BYTES else self.text(code)
        if kind == Kind.NULL:
            return kind, None, None
        if kind == Kind.ID16:
            return kind, None, f"{column.words[2 * index]:016x}{column.words[2 * index + 1]:016x}"
        word = column.words[index]
        if kind == Kind.BOOL:
            return kind, None, bool(word)
        if kind == Kind.INT:
            return kind, None, word - (word >> 63 << 64)
        if kind == Kind.DOUBLE:
            return kind, None, struct.unpack("<d", struct.pack("<Q", word))[0]
        if kind == Kind.ID8:
            return kind, None, f"{word:016x}"
        return kind, None, word
