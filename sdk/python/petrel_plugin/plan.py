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
    def __init__(self, signals):
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

    def _select(self, table, field, key, kinds, write, create, remove):
        access = (kinds != Kinds.UNSEEN) | write << 1 | create << 2 | remove << 3
        self.selectors.append(Selector(table, field, key, kinds, access))
        return len(self.selectors) - 1
