package main

import (
	petrel "github.com/petrel-telemetry/petrel/sdk/go"
	"github.com/petrel-telemetry/petrel/sdk/go/metrics"
)

// calls counts spans and how long they took, before anything samples them away.
type calls struct {
	service, name, status, took petrel.Slot
	count, duration             metrics.Metric
}

func newCalls(plan *petrel.Plan) *calls {
	labels := metrics.Labels("resource.service.name", "span.name", "outcome")
	return &calls{
		service:  plan.Attributes(petrel.Resource, "service.name"),
		name:     plan.Field(petrel.Record, petrel.Name),
		status:   plan.Field(petrel.Record, petrel.StatusCode),
		took:     plan.Field(petrel.Record, petrel.Duration),
		count:    metrics.Counter("calls", metrics.Unit("{call}"), metrics.Telemetry, labels),
		duration: metrics.Histogram("duration", metrics.Unit("ms"), metrics.Telemetry, labels),
	}
}

func (c *calls) record(batch *petrel.Batch) {
	both := metrics.Of(c.count, c.duration)
	good, bad := both.Text("ok"), both.Text("error")
	services, names := both.Labels(batch, c.service), both.Labels(batch, c.name)
	statuses, took := batch.Numbers(c.status), batch.Numbers(c.took)
	for span, name := range names {
		outcome := good
		if statuses[span] == 2 {
			outcome = bad
		}
		both.Record([]petrel.Code{services[span], name, outcome}, 1, took[span]/1e6)
	}
	both.Finish()
}
