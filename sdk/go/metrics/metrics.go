// Package metrics is what a plugin counts: about itself, or new telemetry; the host adds up and exports.
//
// Instruments are declared in configure and recorded with in Process. What is recorded counts when the
// answer was accepted and the batch is on its way: an error, a panic or a retry counts nothing twice. A
// plugin may have 32 instruments and 1,000 series; what goes beyond is one series a metric, with the
// attribute otel.metric.overflow.
package metrics

import (
	"fmt"
	"math"
	"strconv"

	petrel "github.com/petrel-telemetry/petrel/sdk/go"
)

// Metric is a declared instrument.
type Metric struct {
	id     uint32
	labels int
}

type instrument struct {
	name, unit string
	kind       uint8
	audience   uint8
	labels     []string
}

// Option says what an instrument has beyond its name.
type Option func(*instrument)

// Unit of the values, in UCUM's spelling: ms, By, {call}.
func Unit(unit string) Option { return func(i *instrument) { i.unit = unit } }

// Telemetry makes it new telemetry, which the agent forwards, instead of something about the plugin,
// which the agent shows to whoever runs it.
func Telemetry(i *instrument) { i.audience = 1 }

// Labels are the keys of the values' attributes. One that begins with resource. becomes an attribute of
// the resource, without the prefix: resource.service.name says whose metric it is.
func Labels(keys ...string) Option { return func(i *instrument) { i.labels = keys } }

// Counter is a sum that only grows; only in configure, as all that declare.
func Counter(name string, options ...Option) Metric { return declared(1, name, options) }

// UpDownCounter is a sum that goes up and down.
func UpDownCounter(name string, options ...Option) Metric { return declared(2, name, options) }

// Gauge is the newest value.
func Gauge(name string, options ...Option) Metric { return declared(3, name, options) }

// Histogram is a distribution of values that are not below zero.
func Histogram(name string, options ...Option) Metric { return declared(4, name, options) }

func declared(kind uint8, name string, options []Option) Metric {
	asked := instrument{name: name, kind: kind}
	for _, also := range options {
		also(&asked)
	}
	return Metric{declare(asked), len(asked.labels)}
}

// Add records one value of an instrument without labels; only in Process.
func (m Metric) Add(value float64) { add(m.id, value) }

// None is a label that is left out.
const None petrel.Code = 0xffffffff

// The code of a recorder's first text.
const added = 0x80000000

// Recorder collects values of one batch, of one instrument or of several that have the same labels. They
// cross over to the host together.
type Recorder struct {
	metrics []Metric
	values  [][]float64
	codes   []petrel.Code
	texts   map[string]petrel.Code
	ends    []uint32
	bytes   []byte
}

// Of makes a recorder for instruments that have the same labels.
func Of(metrics ...Metric) *Recorder {
	for _, metric := range metrics {
		if metric.labels != metrics[0].labels {
			panic("instruments with other labels need a recorder of their own")
		}
	}
	return &Recorder{metrics: metrics, values: make([][]float64, len(metrics))}
}

// Text is a label's value that is none of the batch's strings, for this recorder.
func (r *Recorder) Text(text string) petrel.Code {
	if code, ok := r.texts[text]; ok {
		return code
	}
	if r.texts == nil {
		r.texts = map[string]petrel.Code{}
	}
	r.bytes = append(r.bytes, text...)
	r.ends = append(r.ends, uint32(len(r.bytes)))
	code := petrel.Code(added + len(r.ends) - 1)
	r.texts[text] = code
	return code
}

// Labels are what the records of a batch have for a selector, one for each: strings as they are, whole
// numbers and truth values as text, None where there is nothing.
func (r *Recorder) Labels(batch *petrel.Batch, slot petrel.Slot) []petrel.Code {
	labels := make([]petrel.Code, batch.Rows(petrel.Record))
	for record := range labels {
		labels[record] = None
	}
	for record, cell := range batch.PerRecord(slot) {
		switch cell.Kind {
		case petrel.String:
			labels[record] = cell.Code()
		case petrel.Int:
			labels[record] = r.Text(strconv.FormatInt(cell.Int(), 10))
		case petrel.Uint:
			labels[record] = r.Text(strconv.FormatUint(cell.Uint(), 10))
		case petrel.Bool:
			labels[record] = r.Text(strconv.FormatBool(cell.Bool()))
		}
	}
	return labels
}

// Record has one value for each instrument, and the labels in the order in which their keys were
// declared; those that are missing are None. A value that is not finite is left out.
func (r *Recorder) Record(labels []petrel.Code, values ...float64) {
	keys := r.metrics[0].labels
	if len(values) != len(r.metrics) || len(labels) > keys {
		panic(fmt.Sprintf("%d values and %d labels for %d instruments with %d labels",
			len(values), len(labels), len(r.metrics), keys))
	}
	for i, value := range values {
		r.values[i] = append(r.values[i], value)
	}
	r.codes = append(r.codes, labels...)
	for range keys - len(labels) {
		r.codes = append(r.codes, None)
	}
}

// Finish hands them over; only in Process.
func (r *Recorder) Finish() {
	for i, metric := range r.metrics {
		values, codes := finite(r.values[i], r.codes, metric.labels)
		if len(values) > 0 {
			recordMany(metric.id, values, codes, r.ends, r.bytes)
		}
	}
}

// finite values and their labels; the same slices if all are.
func finite(values []float64, codes []petrel.Code, labels int) ([]float64, []petrel.Code) {
	isFinite := func(value float64) bool { return !math.IsNaN(value) && !math.IsInf(value, 0) }
	for first, value := range values {
		if isFinite(value) {
			continue
		}
		someValues := append([]float64{}, values[:first]...)
		someCodes := append([]petrel.Code{}, codes[:first*labels]...)
		for i := first; i < len(values); i++ {
			if isFinite(values[i]) {
				someValues = append(someValues, values[i])
				someCodes = append(someCodes, codes[i*labels:(i+1)*labels]...)
			}
		}
		return someValues, someCodes
	}
	return values, codes
}
