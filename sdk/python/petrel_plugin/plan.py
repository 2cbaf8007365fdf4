"""What a plugin asks for when it is configured."""

from dataclasses import dataclass

from .registry import Kinds

#: As a slot: everything that the plugin selected.
ALL = 0xFFFF


@dataclass
class Selector:
    table: int
    field: int
    key: str
    kinds: int
    access: int


class Plan:
    def __init__(self, signals, state_bytes=0, window_bytes=0):
        #: The most that `save` may give.
        self.state_bytes = state_bytes
        #: The encoded size of the spans that the host holds for the plugin.
        self.window_bytes = window_bytes
        self.tick_ms = 0
        #: Only these, where the configuration says so.
        self.signals = signals
        self.selectors = []
        #: False: codes only, for plugins that leave the looking to kernels. No telemetry enters then.
        self.wants_strings = True

    def attributes(self, table, key, *, kinds=Kinds.STRING, write=False, create=False, remove=False):
        """Attributes by key: exact, `prefix*`, `*suffix`, `*part*` or `*`; alternatives with `|`. Returns a slot."""
        return self._select(table, 0, key, kinds, write, create, remove)

    def field(self, table, field, *, kinds=Kinds.ANY, write=False, create=False, remove=False):
        """A built-in field. Returns a slot."""
        return self._select(table, field, "", kinds, write, create, remove)

    def tick_every(self, seconds):
        """Calls `tick` so often; a tenth of a second is the least."""
        self.tick_ms = round(seconds * 1000)

    def _select(self, table, field, key, kinds, write, create, remove):
        access = (kinds != Kinds.UNSEEN) | write << 1 | create << 2 | remove << 3
        self.selectors.append(Selector(table, field, key, kinds, access))
        return len(self.selectors) - 1
