"""Counts calls, and keeps traces with an error or a route that nobody has seen for a day."""

from calls import Calls
from petrel_plugin import Field, Signals, Table, Waiting, plugin
from routes import unseen

MOST_TRACES = 100_000


class Lookout:
    def __init__(self, plan, wait_s, part):
        self.plan, self.wait_s, self.part = plan, wait_s, part
        self.trace = plan.field(Table.RECORD, Field.TRACE_ID)
        self.name = plan.field(Table.RECORD, Field.NAME)
        self.status = plan.field(Table.RECORD, Field.STATUS_CODE)
        took = plan.field(Table.RECORD, Field.DURATION)
        self.calls = Calls(plan, name=self.name, status=self.status, took=took)
        self.waiting = Waiting()
        plan.tick_every(0.5)

    def process(self, batch, edits):
        self.calls.record(batch)
        news = unseen(batch, self.name)
        traces = batch.values(self.trace)
        spans = zip(traces, batch.labels(self.name), batch.values(self.status))
        wanted = {trace for trace, name, status in spans if status == 2 or name in news}
        edits.hold_all(batch)
        for trace in filter(None, traces):
            self.waiting.add(trace, batch.now_ns)
        for trace in filter(None, wanted):
            edits.keep_trace(trace)
            self.waiting.remove(trace)
        for trace in self.waiting.beyond(MOST_TRACES):
            edits.sample_trace(trace, self.part)

    def tick(self, now_ns, edits):
        for trace in self.waiting.due(now_ns, self.wait_s):
            edits.sample_trace(trace, self.part)

    def save(self):
        return self.waiting.save(self.plan.state_bytes)

    def restore(self, state):
        self.waiting.restore(state)


@plugin(name="lookout", version="0.1.0", signals=Signals.TRACES, holds_traces=True)
def configure(config, plan):
    wait_s, part = config.get("wait_s", 10), config.get("part", 0.1)
    if not (wait_s >= 1 and 0 <= part <= 1):
        raise ValueError("config.wait_s must be at least 1, and config.part from 0 to 1")
    return Lookout(plan, wait_s, part)
