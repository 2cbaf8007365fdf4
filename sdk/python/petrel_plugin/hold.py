"""Traces that wait for a decision, and the part of them that is kept by chance."""

import re
import struct

END = 1 << 56
#: Hexadecimal digits of 56 bits.
DIGITS = 14
#: Trace id, time of the first span.
SAVED = struct.Struct(">QQQ")


def words(trace):
    """The two words of a trace id."""
    if not re.fullmatch("[0-9a-f]{32}", trace or ""):
        raise ValueError("a trace is 32 hexadecimal digits: a value of Field.TRACE_ID")
    return int(trace[:16], 16), int(trace[16:], 16)


def sampled(trace, part):
    """The threshold with which a trace is kept when this part of all is, or None. By the last 56 bits of its id:
    OpenTelemetry, "TraceState: Probability Sampling"."""
    threshold = threshold_of(part)
    return threshold if words(trace)[1] % END >= threshold else None


def threshold_of(part):
    """After the digits `f`, which only say that it is little, four digits say something: so the Collector writes it,
    and whoever rounds alike decides alike."""
    # Of small parts 1 - part would lose the digits that matter. NaN keeps nothing.
    kept = round(min(part, 1) * END) if part > 0 else 0
    threshold = END - kept
    if not kept:
        return threshold
    digits = f"{threshold:0{DIGITS}x}"
    little = len(digits) - len(digits.lstrip("f"))
    unit = 1 << 4 * (DIGITS - min(little + 4, DIGITS))
    rounded = (threshold + unit // 2) // unit * unit
    return rounded if rounded < END else threshold


class Waiting:
    """Traces that wait for a decision, in the order in which their first spans came."""

    def __init__(self):
        self._first_ns = {}

    def __len__(self):
        return len(self._first_ns)

    def add(self, trace, now_ns):
        """A span came; of a trace the first one counts."""
        self._first_ns.setdefault(trace, now_ns)

    def remove(self, trace):
        """It does not wait any more."""
        self._first_ns.pop(trace, None)

    def due(self, now_ns, wait_s):
        """Takes out those that have waited so long, and those that came later than now: the clock was set back."""
        wait_ns = round(wait_s * 1e9)
        due = []
        for trace, first_ns in self._first_ns.items():
            if now_ns - wait_ns < first_ns <= now_ns:
                break
            due.append(trace)
        return self._taken(due)

    def beyond(self, most):
        """Takes out the oldest until no more than `most` wait."""
        oldest = list(self._first_ns)[: max(len(self) - most, 0)] if len(self) > most else []
        return self._taken(oldest)

    def _taken(self, traces):
        for trace in traces:
            del self._first_ns[trace]
        return traces

    def save(self, most_bytes):
        """What `restore` takes. Nothing if it is more than `plan.state_bytes`: then the host shows what it holds
        again."""
        if len(self) * SAVED.size > most_bytes:
            return b""
        return b"".join(SAVED.pack(*words(trace), first_ns) for trace, first_ns in self._first_ns.items())

    def restore(self, state):
        """Adds what `save` gave."""
        for high, low, first_ns in SAVED.iter_unpack(state[: len(state) // SAVED.size * SAVED.size]):
            self.add(f"{high:016x}{low:016x}", first_ns)
