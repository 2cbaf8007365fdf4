"""What a processor answers: sparse, applied by the host in one order - dictionary edits, cell edits,
verdicts. Of edits of one kind the later wins."""

import json
import struct
from itertools import accumulate

from .hold import sampled, words
from .registry import ADDED, NONE, WHATEVER, Kind, Table, Verdict


class Json:
    """A value that shall be an array or a map: `Json({"a": 1})`."""

    def __init__(self, value):
        self.text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Code:
    """A value that shall be a string that the batch, a kernel or `edits.text` has already."""

    def __init__(self, code):
        self.code = code


class Edits:
    def __init__(self):
        self._codes = {}
        self._added = []
        #: (slot, from, to) and (slot, key, row, kind, word), in the order in which they are applied.
        self.replaced = []
        self.cells = []
        self.verdicts = bytearray()
        #: Words and verdicts of decisions about traces.
        self.decided, self.decided_verdicts = [], bytearray()

    def text(self, text):
        """Adds a string, or bytes, once, for use in any number of edits. Returns its code."""
        blob = text.encode() if isinstance(text, str) else bytes(text)
        if blob not in self._codes:
            self._codes[blob] = ADDED + len(self._added)
            self._added.append(blob)
        return self._codes[blob]

    @property
    def added(self):
        """Where each added blob ends, and all of them."""
        return list(accumulate(map(len, self._added))), b"".join(self._added)

    def replace(self, slot, source, target):
        """Everywhere in the columns of `slot` where the code `source` stands, `target` shall stand."""
        self.replaced.append((slot, source, target))

    def replace_all(self, slot, text):
        """Every value of `slot`, of whatever kind, becomes this text."""
        self.replace(slot, WHATEVER, self.text(text))

    def remove_all(self, slot):
        """Every value of `slot` is removed."""
        self.replace(slot, WHATEVER, NONE)

    def map_text(self, batch, slot, change):
        """Calls `change` once for each distinct string of `slot`. What it returns stands wherever that string
        stood; None leaves it alone."""
        for code in batch.codes(slot):
            text = batch.text(code)
            changed = change(text)
            if changed is not None and changed != text:
                self.replace(slot, code, self.text(changed))

    def set(self, cell, value):
        """The cell shall hold `value`: str, int, float, bool, bytes, Json or Code."""
        self._push(cell.slot, cell.key_code, cell.row, value)

    def remove(self, cell):
        """The cell goes; of an attribute, the key as well."""
        self.cells.append((cell.slot, cell.key_code, cell.row, Kind.NULL, 0))

    def put(self, batch, slot, row, value):
        """As `set`, also where the row has no value yet, for a selector of one exact key or of a field."""
        cell = batch.get(slot, row)
        self._push(slot, cell.key_code if cell else NONE, row, value)

    def _push(self, slot, key, row, value):
        self.cells.append((slot, key, row, *self._encoded(value)))

    def _encoded(self, value):
        match value:
            case bool():
                return Kind.BOOL, int(value)
            case int() if -(1 << 63) <= value < 1 << 63:
                return Kind.INT, value % (1 << 64)
            case float():
                return Kind.DOUBLE, struct.unpack("<Q", struct.pack("<d", value))[0]
            case str():
                return Kind.STRING, self.text(value)
            case bytes():
                return Kind.BYTES, self.text(value)
            case Code():
                return Kind.STRING, value.code
            case Json():
                return Kind.JSON, self.text(value.text)
        raise TypeError(f"a cell cannot hold this {type(value).__name__}; give it str, int (64 bits), float, bool, bytes, Json or Code")

    def drop_record(self, batch, row):
        """The span, log record or data point goes."""
        self._verdict(batch, row, Verdict.DROP)

    def hold(self, batch, row):
        """The span waits until its trace is decided, in this answer or a later one. It is acknowledged to its sender
        all the same. Only for plugins that say `holds_traces`. A span without a trace id passes."""
        self._verdict(batch, row, Verdict.HOLD)

    def hold_all(self, batch):
        """Every span of the batch waits; those whose traces are decided in the same answer do not."""
        self.verdicts = bytearray([Verdict.HOLD]) * batch.rows(Table.RECORD)

    def _verdict(self, batch, row, given):
        if not self.verdicts:
            self.verdicts = bytearray(batch.rows(Table.RECORD))
        self.verdicts[row] = given

    def keep_trace(self, trace):
        """Decides about a trace, by its id in hexadecimal: its spans that are held go on, and for some minutes those
        that are still to come, which the plugin does not see any more. The first decision counts."""
        self._decide(trace, Verdict.KEEP)

    def drop_trace(self, trace):
        """Drops the trace's spans, as `keep_trace` keeps them."""
        self._decide(trace, Verdict.DROP)

    def sample_trace(self, trace, part):
        """Keeps this part of all traces, from 0 to 1, and drops the others. Every agent that sees spans of a trace
        decides alike, and the spans say what they were kept with, so that counts can be corrected."""
        threshold = sampled(trace, part)
        if threshold is None:
            self.drop_trace(trace)
        elif threshold == 0:
            self.keep_trace(trace)
        else:
            self._decide(trace, Verdict.SAMPLED, threshold)

    def _decide(self, trace, verdict, *threshold):
        self.decided += (*words(trace), *threshold)
        self.decided_verdicts.append(verdict)
