"""What a plugin counts, keeps and holds, with petrel_plugin.testing in the host's place."""

import sys
import unittest
from math import inf, isnan, nan
from pathlib import Path

from petrel_plugin import testing  # before what imports the host

from batches import batch, column, raw
from petrel_plugin import NONE, Code, Edits, Field, Kinds, Plan, Signals, Table, Waiting
from petrel_plugin import clock, log, lookup, plugin, random, state
from petrel_plugin.guest import Processor
from petrel_plugin.hold import threshold_of
from petrel_plugin.metrics import Counter, Gauge, Histogram, UpDownCounter
from petrel_plugin.registry import Kind, Verdict
from petrel_plugin.testing import Instrument, instruments, kept, lines, recorded

A, B = "01000000000000000080000000000000", "0200000000000000007fffffffffffff"


class Counts(unittest.TestCase):
    def setUp(self):
        testing.reset()

    def test_an_instrument_is_declared_with_all_that_it_has(self):
        Counter("a")
        Histogram("b", unit="ms", telemetry=True, labels=["x"])
        UpDownCounter("c")
        Gauge("d")
        expected = [
            Instrument("a", "", 1, 0, 0, []), Instrument("b", "ms", 4, 1, 0, ["x"]),
            Instrument("c", "", 2, 0, 0, []), Instrument("d", "", 3, 0, 0, []),
        ]
        self.assertEqual(instruments[-4:], expected)

    def test_a_batch_is_recorded_at_once_and_values_that_are_not_finite_are_left_out(self):
        took = Histogram("took", labels=["name", "status"])
        took.record([1, nan, 3, inf, 0], [7, 8, None, 9, 7], ["ok", "ok", "bad", "ok", "ok"])
        took.record(1, 5, "all")
        expected = [("took", 1, [7, "ok"]), ("took", 3, [None, "bad"]), ("took", 0, [7, "ok"]), ("took", 1, [5, "all"])]
        self.assertEqual(recorded, expected)
        testing.reset()
        seen = Counter("seen")
        seen.add()
        seen.add(4)
        took.record([], [], [])
        self.assertEqual(recorded, [("seen", 1, []), ("seen", 4, [])])

    def test_what_does_not_fit_together_is_said_at_once(self):
        one = Counter("one", labels=["a"])
        with self.assertRaisesRegex(TypeError, "one was declared with 1 labels, not 0"):
            one.record(1)
        with self.assertRaisesRegex(ValueError, "of the same records"):
            one.record([1, 2], [3])

    def test_labels_and_numbers_are_one_for_each_record_also_of_what_is_above_them(self):
        plan = Plan(Signals.ALL)
        service = plan.attributes(Table.RESOURCE, "service.name")
        size = plan.attributes(Table.RECORD, "size", kinds=Kinds.ANY)
        sizes = column(slot=1, kind=Kind.MIXED, rows=[1, 1], kinds=bytes([Kind.INT, Kind.STRING]), words=[7, 0])
        seen = batch(plan, [column(codes=[0]), sizes], "shop")
        self.assertEqual(seen.values(service), ["shop", "shop"])
        self.assertEqual(seen.labels(service), [0, 0])
        self.assertEqual(seen.labels(size), [None, "7"])
        first, second = seen.numbers(size, 2)
        self.assertTrue(isnan(first))
        self.assertEqual(second, 14)
        with self.assertRaisesRegex(ValueError, "a record may have many"):
            seen.values(plan.field(Table.EVENT, Field.NAME))

    def test_what_is_absent_in_a_dense_column_is_no_value(self):
        plan = Plan(Signals.ALL)
        slot = plan.field(Table.RECORD, Field.NAME)
        self.assertEqual(batch(plan, [column(codes=[NONE, 0])], "x").values(slot), [None, "x"])
        self.assertEqual(batch(plan, [column(codes=[0, 0], present=[2])], "x").labels(slot), [None, 0])


class Keeps(unittest.TestCase):
    def setUp(self):
        testing.reset()

    def test_what_was_put_is_there_until_it_is_deleted(self):
        state.put_many({"a": "1", "b": b""}, 60)
        state.put("\u00fc", b"\xff")
        self.assertEqual(state.get_many(["\u00fc", "none", "b"]), [b"\xff", None, b""])
        state.delete_many(["a"])
        self.assertIsNone(state.get("a"))
        self.assertEqual(list(kept), [b"b", "\u00fc".encode()])
        self.assertEqual([state.get_many([]), state.put_many({}), state.delete_many([])], [[], None, None])

    def test_lines_for_the_operator_can_be_looked_at(self):
        log.info("ready")
        self.assertEqual(lines, [(3, "ready")])

    def test_there_is_a_clock_and_there_are_random_bytes(self):
        first = clock.monotonic_ns()
        self.assertLessEqual(first, clock.monotonic_ns())
        self.assertGreater(clock.wall_ns(), 1_577_836_800_000_000_000)
        self.assertEqual(len(random.draw(16)), 16)
        self.assertNotEqual(random.draw(16), random.draw(16))

    def test_a_batch_is_joined_with_a_table_and_a_cell_gets_the_code_that_is_found(self):
        testing.tables["owners"] = lambda codes, column: [9 if code == 1 else NONE for code in codes]
        with self.assertRaisesRegex(KeyError, "no table none is mounted"):
            lookup.Table("none")
        owners = lookup.Table("owners")
        self.assertEqual(owners.join([1, 2], "team"), [9, NONE])
        self.assertEqual(owners.join([], "team"), [])
        edits = Edits()
        edits.put(batch(Plan(Signals.ALL), []), 0, 0, Code(9))
        self.assertEqual(edits.cells, [(0, NONE, 0, Kind.STRING, 9)])


class Holds(unittest.TestCase):
    def setUp(self):
        testing.reset()

    def test_a_part_of_all_traces_is_kept_by_their_ids(self):
        edits = Edits()
        for trace in A, B:
            for part in 0.5, 1, 0, nan:
                edits.sample_trace(trace, part)
        sampled, keep, drop = Verdict.SAMPLED, Verdict.KEEP, Verdict.DROP
        self.assertEqual([*edits.decided_verdicts], [sampled, keep, drop, drop, drop, keep, drop, drop])
        self.assertEqual(edits.decided[:3], [1 << 56, 0x80 << 48, 0x80 << 48])
        # As plugins/tail-sample and the Collector round.
        thresholds = [0xE6660000000000, 0xFD70A000000000, 0xFFFFEF39000000]
        self.assertEqual([threshold_of(part) for part in (0.1, 0.01, 1e-6)], thresholds)
        with self.assertRaisesRegex(ValueError, "32 hexadecimal digits"):
            edits.keep_trace("xyz")

    def test_traces_wait_in_the_order_in_which_they_came_also_after_a_restore(self):
        before = Waiting()
        one, two, three, four, five = ids = [f"{number:032x}" for number in range(1, 6)]
        for number, trace in enumerate(ids, 1):
            before.add(trace, number)
            before.add(trace, 100)
        before.remove(two)
        self.assertEqual(before.save(95), b"")
        waiting = Waiting()
        waiting.restore(before.save(96))
        self.assertEqual(waiting.beyond(3), [one])
        self.assertEqual(waiting.due(4, 1e-9), [three])
        # Somebody set the clock back.
        self.assertEqual(waiting.due(3, 1e-9), [four, five])
        self.assertEqual(len(waiting), 0)

    def test_spans_are_held_until_their_traces_are_decided_by_the_timer_also_by_the_next_instance(self):
        example = str(Path(__file__).parents[1] / "example")
        sys.path.insert(0, example)
        self.addCleanup(sys.path.remove, example)
        import plugin as lookout

        instance, limits = Processor(), testing.SimpleNamespace(state_bytes=1000, window_bytes=9)
        plugin(name="lookout", version="1", holds_traces=True)(lookout.configure.configure)
        self.assertEqual(instance.describe().extra, [("holds", "traces")])
        self.assertFalse(instance.describe().stateless)
        config = b'{"wait_s": 2, "part": 0.5}'
        self.assertEqual(instance.configure(config, limits, None).tick_ms, 500)
        kept[b"known"] = b"seen"
        ids = column(kind=Kind.ID16, words=[1 << 56, 0x80 << 48, 2 << 56, 0x7F << 48])

        def two(name):
            return raw([ids, column(slot=1, codes=[0, 0])], name, now_ns=5_000_000_000)

        held = instance.process(two("known"))
        self.assertEqual((held.verdicts, held.decided), (bytes([Verdict.HOLD] * 2), []))
        self.assertEqual([name for name, *_ in recorded], ["calls", "calls"])

        instance.configure(config, limits, instance.save())
        self.assertEqual(instance.tick(6_900_000_000).decided, [])
        self.assertEqual(instance.tick(7_000_000_000).decided_verdict, bytes([Verdict.SAMPLED, Verdict.DROP]))
        self.assertEqual(instance.process(two("new")).decided_verdict, bytes([Verdict.KEEP] * 2))

    def test_a_processor_that_only_processes_needs_nothing_more(self):
        plugin(name="n", version="1")(lambda config, plan: lambda batch, edits: None)
        instance = Processor()
        instance.configure(b"", testing.SimpleNamespace(state_bytes=0, window_bytes=0), b"left")
        self.assertEqual([instance.tick(1).decided, instance.flush(1).decided, instance.save()], [[], [], b""])

    def test_what_is_raised_is_the_operators_to_read(self):
        @plugin(name="n", version="1")
        def configure(config, plan):
            class Failing:
                def tick(self, now_ns, edits):
                    raise ValueError("no")

            return Failing()

        instance = Processor()
        instance.configure(b"", testing.SimpleNamespace(state_bytes=0, window_bytes=0), None)
        with self.assertRaises(testing.Err) as caught:
            instance.tick(1)
        self.assertEqual(caught.exception.value.message, "no")


if __name__ == "__main__":
    unittest.main()
