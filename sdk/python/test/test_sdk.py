"""The SDK without a runtime: what a batch shows and what edits become."""

import struct
import tempfile
import unittest
from pathlib import Path

from batches import batch, column
from petrel_plugin import Edits, Json, Kinds, Plan, Signals, Table, exported, plugin
from petrel_plugin.build import used
from petrel_plugin.registry import ADDED, NONE, WHATEVER, Kind


class Sdk(unittest.TestCase):
    def setUp(self):
        self.plan = Plan(Signals.ALL)
        self.slot = self.plan.attributes(Table.RECORD, "a", kinds=Kinds.ANY, write=True)
        self.edits = Edits()

    def test_a_plugin_says_what_it_wants(self):
        @plugin(name="n", version="2", fails_closed=True)
        def configure(config, plan):
            self.assertEqual(config, {})
            plan.attributes(Table.RECORD, "a|b*", kinds=Kinds.UNSEEN, write=True, remove=True)

        self.assertIs(exported[0], configure)
        plan, _ = configure.configured(b"null")
        asked = plan.selectors[0]
        self.assertEqual((asked.table, asked.field, asked.key, asked.kinds, asked.access), (2, 0, "a|b*", 0, 10))

    def test_values_of_every_kind_are_seen_and_set(self):
        double = struct.unpack("<Q", struct.pack("<d", 2.5))[0]
        mixed = column(
            kind=Kind.MIXED, key=0, rows=[0, 0, 1, 1, 1],
            kinds=bytes([Kind.STRING, Kind.INT, Kind.DOUBLE, Kind.BOOL, Kind.JSON]),
            words=[1, 2**64 - 5, double, 1, 2],
        )
        seen = batch(self.plan, [mixed], "key", "text", "[1]")
        cells = list(seen.cells(self.slot))
        values = [(cell.key, cell.row, cell.value) for cell in cells]
        self.assertEqual(values, [("key", 0, "text"), ("key", 0, -5), ("key", 1, 2.5), ("key", 1, True), ("key", 1, "[1]")])
        for value in ("x", -1, 2.5, True, Json({"a": 1}), b"\xff"):
            self.edits.set(cells[0], value)
        kinds = [Kind.STRING, Kind.INT, Kind.DOUBLE, Kind.BOOL, Kind.JSON, Kind.BYTES]
        self.assertEqual([cell[3] for cell in self.edits.cells], kinds)
        self.assertEqual([cell[4] for cell in self.edits.cells], [ADDED, 2**64 - 1, double, 1, ADDED + 1, ADDED + 2])
        self.assertEqual(self.edits.added, ([1, 8, 9], b'x{"a":1}\xff'))
        for unfit in (None, 2**63, [1]):
            with self.assertRaisesRegex(TypeError, "give it str, int"):
                self.edits.set(cells[0], unfit)

    def test_each_distinct_text_is_changed_once(self):
        calls = []
        said = batch(self.plan, [column(key=0, codes=[1, 1])], "a", "h\u00e9")
        self.edits.map_text(said, self.slot, lambda text: calls.append(text) or text.upper())
        self.assertEqual(calls, ["h\u00e9"])
        self.assertEqual(self.edits.replaced, [(self.slot, 1, ADDED)])
        self.assertEqual(self.edits.added, ([3], "H\u00c9".encode()))

    def test_absent_values_are_not_cells_and_ids_are_hexadecimal(self):
        dense = column(codes=[0, NONE], present=[1])
        ids = column(slot=1, kind=Kind.ID16, words=[1, 2, 3, 4])
        self.plan.field(Table.RECORD, 11)
        seen = batch(self.plan, [dense, ids], "x")
        self.assertEqual([cell.row for cell in seen.cells(0)], [0])
        self.assertEqual(seen.get(1, 1).value, "00000000000000030000000000000004")
        self.assertEqual(seen.resource_of(1), 0)

    def test_records_are_dropped_and_values_removed(self):
        empty = batch(self.plan, [])
        self.edits.drop_record(empty, 1)
        self.edits.remove_all(self.slot)
        self.edits.put(empty, self.slot, 0, "new")
        self.assertEqual(bytes(self.edits.verdicts), b"\0\1")
        self.assertEqual(self.edits.replaced, [(self.slot, WHATEVER, NONE)])
        self.assertEqual(self.edits.cells, [(self.slot, NONE, 0, Kind.STRING, ADDED)])

    def test_only_what_is_imported_is_asked_for(self):
        cases = {
            "from petrel_plugin import Table": set(),
            "from petrel_plugin import accel, log": {"accel", "log"},
            "from petrel_plugin.accel import redact": {"accel"},
            "import petrel_plugin.log": {"log"},
            "from petrel_plugin.metrics import Counter": {"metrics"},
            "from petrel_plugin import state": {"state"},
        }
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "plugin.py"
            for text, found in cases.items():
                file.write_text(text)
                self.assertEqual(used([file]), found, text)


if __name__ == "__main__":
    unittest.main()
