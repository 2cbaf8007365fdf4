from petrel_plugin import Table
from petrel_plugin.metrics import Counter, Histogram


class Calls:
    """Counts spans and how long they took, before anything samples them away."""

    def __init__(self, plan, *, name, status, took):
        self.service = plan.attributes(Table.RESOURCE, "service.name")
        self.name, self.status, self.took = name, status, took
        labels = ["resource.service.name", "span.name", "outcome"]
        self.count = Counter("calls", unit="{call}", telemetry=True, labels=labels)
        self.duration = Histogram("duration", unit="ms", telemetry=True, labels=labels)

    def record(self, batch):
        outcomes = ["error" if code == 2 else "ok" for code in batch.values(self.status)]
        labels = batch.labels(self.service), batch.labels(self.name), outcomes
        self.count.record(1, *labels)
        self.duration.record(batch.numbers(self.took, 1e-6), *labels)
