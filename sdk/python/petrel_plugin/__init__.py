"""Write a Petrel processor in Python.

`plugin` turns a function into the component's export. Nothing here knows of the runtime, so that a
plugin can be tested with `python -m unittest` as it is; `guest.py` is what the component starts from.
"""

import json
from dataclasses import dataclass

from .batch import Batch, Cell
from .edits import Code, Edits, Json
from .hold import Waiting
from .plan import ALL, Plan
from .registry import NONE, Field, Kind, Kinds, Signals, Table

__all__ = [
    "ALL", "NONE", "Batch", "Cell", "Code", "Edits", "Field", "Json", "Kind", "Kinds", "Plan", "Plugin", "Signals", "Table",
    "Waiting", "plugin",
]


@dataclass
class Plugin:
    """What a plugin says of itself, and how it is configured."""

    name: str
    version: str
    configure: object = None
    signals: int = Signals.ALL
    #: JSON Schema of its configuration, as a dictionary.
    schema: object = None
    #: Losing it must stop the data, as with redaction.
    fails_closed: bool = False
    #: It remembers something from batch to batch, and there shall be one instance.
    keeps_state: bool = False
    is_random: bool = False
    #: It may hold spans until it has decided about their traces. So it keeps state, and has to be the last one
    #: of a chain.
    holds_traces: bool = False

    def __post_init__(self):
        self.keeps_state = self.keeps_state or self.holds_traces

    def configured(self, config, state_bytes=0, window_bytes=0):
        """What it asks for with this configuration (bytes of JSON), and what processes batches then."""
        text = config.decode().strip()
        plan = Plan(self.signals, state_bytes, window_bytes)
        processor = self.configure({} if text in ("", "null") else json.loads(text), plan)
        return plan, processor


#: The plugin of this component.
exported = []


def plugin(**about):
    """Makes `configure(config, plan)` the plugin. It returns `process(batch, edits)`, or an object that has such a
    method. That may also have `tick(now_ns, edits)`, called as `plan.tick_every` says; `flush(edits)`, called before
    another version takes over; `save()`, whose bytes the next instance gets in `restore(state)`."""

    def made(configure):
        one = Plugin(configure=configure, **about)
        exported[:] = [one]
        return one

    return made
