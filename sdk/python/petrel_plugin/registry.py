"""The numbers of wit/README.md by name."""


class Table:
    RESOURCE, SCOPE, RECORD, EVENT, LINK, EXEMPLAR, METRIC = range(7)


class Field:
    NAME, BODY, SEVERITY_NUMBER, SEVERITY_TEXT, TIME, OBSERVED_TIME, DURATION, SPAN_KIND = range(1, 9)
    STATUS_CODE, STATUS_MESSAGE, TRACE_ID, SPAN_ID, PARENT_ID, TRACE_FLAGS, TRACESTATE = range(9, 16)
    METRIC_NAME, UNIT, METRIC_DESCRIPTION, SCOPE_VERSION = 20, 21, 43, 44


class Signals:
    """Sets of signals: `Signals.TRACES | Signals.LOGS`."""

    TRACES, LOGS, METRICS, ALL = 1, 2, 4, 7


class Kind:
    NULL, STRING, BYTES, BOOL, INT, DOUBLE, UINT, TIME, ID16, ID8, JSON = range(11)
    MIXED = 255


class Kinds:
    """Sets of kinds: `Kinds.STRING | Kinds.JSON`."""

    #: Where a value is, never what it is.
    UNSEEN = 0
    STRING, BYTES, BOOL, INT, DOUBLE, JSON = (1 << kind for kind in (1, 2, 3, 4, 5, 10))
    ANY = STRING | BYTES | BOOL | INT | DOUBLE | JSON


#: No value; as the target of an edit: delete.
NONE = 0xFFFFFFFF
#: As the source of an edit: whatever is there.
WHATEVER = 0xFFFFFFFE
#: The code of the first string that an edit adds.
ADDED = 0x80000000


class Verdict:
    """On records, and on traces."""

    KEEP, DROP, HOLD, SAMPLED = 0, 1, 2, 4
