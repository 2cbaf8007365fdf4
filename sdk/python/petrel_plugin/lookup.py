"""Read-only tables that the operator mounts: CSV, ranges of addresses, metadata of Kubernetes."""

from wit_world.imports import lookup


class Table:
    """One of the operator's, by the name that he gave it. Raises KeyError if there is none."""

    def __init__(self, name):
        self._number = lookup.open(name)
        if self._number is None:
            raise KeyError(f"no table {name} is mounted")

    def join(self, codes, column):
        """Looks up each of a batch's strings, and answers with the value in a column of its row, or NONE: codes for
        `Code(...)`, `edits.replace` and labels. Their text stays with the host. Only in `process`."""
        codes = list(codes)
        return list(lookup.join_dict(self._number, codes, column)) if codes else []
