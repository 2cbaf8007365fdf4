"""Write a Petrel processor in Python.

`plugin` turns a function into the component's export. Nothing here knows of the runtime, so that a
plugin can be tested with `python -m unittest` as it is; `guest.py` is what the component starts from.
"""

import json
from dataclasses import dataclass

from .batch import Batch, Cell
from .edits import Edits, Json
from .plan import ALL, Plan
from .registry import Field, Kind, Kinds, Signals, Table

__all__ = [
    "ALL", "Batch", "Cell", "Edits", "Field", "Json", "Kind", "Kinds", "Plan", "Plugin", "Signals", "Table", "plugin",
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

    def configured(self, config):
        """What it asks for with this configuration (bytes of JSON), and what processes batches then."""
        text = config.decode().strip()
        plan = Plan(self.signals)
        process = self.configure({} if text in ("", "null") else json.loads(text), plan)
        return plan, process


#: The plugin of this component.
exported = []


def plugin(**about):
    """Makes `configure(config, plan)`, which returns `process(batch, edits)`, the plugin."""

    def made(configure):
        one = Plugin(configure=configure, **about)
        exported[:] = [one]
        return one

    return made
