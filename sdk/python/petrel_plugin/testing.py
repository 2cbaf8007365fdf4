"""Plays the host's part, so that a plugin's own tests can import it: `import petrel_plugin.testing` before it.

What was said to the host can be looked at; it answers simply: nothing is ever over, nothing makes room, and the
kernels are in the host only, so what needs them is a case for `petrel plugin test`.
"""

import os
import sys
import time
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace

from .plan import Selector
from .registry import ADDED, NONE

#: Declared instruments, in order.
instruments = []
#: What was recorded: (name, value, labels), labels as codes, texts or None.
recorded = []
#: What is kept: bytes by key.
kept = {}
#: Lines for the operator: (level, message).
lines = []
#: What the operator mounts: by name, a function of codes and a column that gives codes.
tables = {}


def reset():
    """Forgets all that was said; instruments stay declared."""
    recorded.clear()
    kept.clear()
    lines.clear()
    tables.clear()


@dataclass
class Instrument:
    name: str
    unit: str
    instrument_kind: int
    audience: int
    output: int
    label_keys: list


@dataclass
class Blob:
    ends: list
    bytes: bytes

    def parts(self):
        return [self.bytes[start:end] for start, end in zip([0, *self.ends], self.ends)]


class Err(Exception):
    """What a component answers with an error."""

    @property
    def value(self):
        return self.args[0]


def _declare(instrument):
    instruments.append(instrument)
    return len(instruments) - 1


def _record_many(number, values, codes, extra):
    instrument = instruments[number]
    texts = [text.decode() for text in extra.parts()]
    labels = [None if code == NONE else texts[code - ADDED] if code >= ADDED else code for code in codes]
    keys = len(instrument.label_keys)
    for index, value in enumerate(values):
        recorded.append((instrument.name, value, labels[index * keys : (index + 1) * keys]))


def _delete_many(keys):
    for key in keys.parts():
        kept.pop(key, None)


_opened = []


def _open(name):
    if name not in tables:
        return None
    _opened.append(tables[name])
    return len(_opened) - 1


def _in_the_host(*_):
    raise RuntimeError("the kernels are in the host; test this with `petrel plugin test`")


#: Stand for the modules that componentize-py generates when a component is built.
_imports = ModuleType("wit_world.imports")
_imports.types = SimpleNamespace(
    Blob=Blob,
    Selector=Selector,
    **dict.fromkeys(("Descriptor", "Edits", "Error", "Plan"), SimpleNamespace),
)
_imports.log = SimpleNamespace(write=lambda level, message: lines.append((level, message)))
_imports.metrics = SimpleNamespace(
    Instrument=Instrument,
    declare=_declare,
    add=lambda number, value: recorded.append((instruments[number].name, value, [])),
    record_many=_record_many,
)
_imports.state = SimpleNamespace(
    get_many=lambda keys: [kept.get(key) for key in keys.parts()],
    put_many=lambda keys, values, _: kept.update(zip(keys.parts(), values.parts())),
    delete_many=_delete_many,
)
_imports.clock = SimpleNamespace(wall_ns=time.time_ns, monotonic_ns=time.monotonic_ns)
_imports.random = SimpleNamespace(bytes=os.urandom)
_imports.lookup = SimpleNamespace(open=_open, join_dict=lambda table, codes, column: _opened[table](codes, column))
_imports.accel = SimpleNamespace(
    **dict.fromkeys(("regex_set", "key_set", "match_dict", "redact_dict", "hash_dict"), _in_the_host)
)
_types = ModuleType("componentize_py_types")
_types.Err = Err
sys.modules.setdefault("componentize_py_types", _types)
sys.modules.setdefault("wit_world", ModuleType("wit_world"))
sys.modules.setdefault("wit_world.imports", _imports)
