"""The component's export, in terms of the bindings that are generated when it is built."""

import json

from componentize_py_types import Err
from wit_world.imports import types

from . import exported
from .batch import Batch
from .edits import Edits

CONFIGURATION, INTERNAL = 1, 4


def _failed(code, error):
    words = str(error) or type(error).__name__
    return Err(types.Error(code=code, message=words, retryable=False))


class Processor:
    def describe(self):
        about = exported[0]
        return types.Descriptor(
            name=about.name,
            version=about.version,
            signals=about.signals,
            config_schema=json.dumps(about.schema) if about.schema else "",
            fail_closed=about.fails_closed,
            stateless=not about.keeps_state,
            deterministic=not about.is_random,
            extra=[("holds", "traces")] if about.holds_traces else [],
        )

    def configure(self, config, limits, state):
        global plan, processor
        try:
            plan, processor = exported[0].configured(config, limits.state_bytes, limits.window_bytes)
            if state is not None and hasattr(processor, "restore"):
                processor.restore(state)
        except Exception as error:
            raise _failed(CONFIGURATION, error) from None
        return types.Plan(
            signals=plan.signals,
            selectors=[types.Selector(s.table, s.field, s.key, s.kinds, s.access) for s in plan.selectors],
            only_if_key=[],
            want_dict=plan.wants_strings,
            outputs=[],
            tick_ms=plan.tick_ms,
            merge_duplicates=False,
        )

    def process(self, b):
        process = getattr(processor, "process", processor)
        return _edited(lambda edits: process(Batch(b, plan), edits))

    def tick(self, now_ns):
        return _edited(lambda edits: hasattr(processor, "tick") and processor.tick(now_ns, edits))

    def flush(self, reason):
        return _edited(lambda edits: hasattr(processor, "flush") and processor.flush(edits))

    def save(self):
        return bytes(processor.save()) if hasattr(processor, "save") else b""


plan = processor = None


def _edited(edit):
    edits = Edits()
    try:
        edit(edits)
        return _answer(edits)
    except Exception as error:
        raise _failed(INTERNAL, error) from None


def _answer(edits):
    dict_slot, dict_from, dict_to = _columns(edits.replaced, 3)
    cell_slot, cell_key, cell_row, cell_kind, cell_word = _columns(edits.cells, 5)
    return types.Edits(
        verdicts=bytes(edits.verdicts),
        added=types.Blob(*edits.added),
        dict_slot=dict_slot,
        dict_from=dict_from,
        dict_to=dict_to,
        cell_slot=cell_slot,
        cell_key=cell_key,
        cell_row=cell_row,
        cell_kind=bytes(cell_kind),
        cell_word=cell_word,
        drop_table=b"",
        drop_key=[],
        route=b"",
        decided=edits.decided,
        decided_verdict=bytes(edits.decided_verdicts),
    )


def _columns(rows, count):
    return map(list, zip(*rows)) if rows else ([] for _ in range(count))
