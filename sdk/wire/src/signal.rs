//! The three kinds of telemetry that OTLP carries.

use std::fmt;
use std::str::FromStr;

/// One of OpenTelemetry's signals. The discriminants are on disk and on the wire: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Signal {
    /// `ExportTraceServiceRequest`; its items are spans.
    Traces = 1,
    /// `ExportLogsServiceRequest`; its items are log records.
    Logs = 2,
    /// `ExportMetricsServiceRequest`; its items are data points.
    Metrics = 3,
}

impl Signal {
    /// All of them, in the order in which tables and reports list them.
    pub const ALL: [Signal; 3] = [Signal::Traces, Signal::Logs, Signal::Metrics];

    /// The request path of OTLP/HTTP (specification, "OTLP/HTTP Request").
    pub const fn path(self) -> &'static str {
        match self {
            Signal::Traces => "/v1/traces",
            Signal::Logs => "/v1/logs",
            Signal::Metrics => "/v1/metrics",
        }
    }

    /// The full method name of OTLP/gRPC, as it stands in the `:path` of a request.
    pub const fn grpc_path(self) -> &'static str {
        match self {
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }

    /// `traces`, `logs` or `metrics`.
    pub const fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Logs => "logs",
            Signal::Metrics => "metrics",
        }
    }

    /// What one item of this signal is called, in the plural.
    pub const fn items_name(self) -> &'static str {
        match self {
            Signal::Traces => "spans",
            Signal::Logs => "log records",
            Signal::Metrics => "data points",
        }
    }

    /// The signal with this discriminant.
    pub const fn from_code(code: u8) -> Option<Signal> {
        match code {
            1 => Some(Signal::Traces),
            2 => Some(Signal::Logs),
            3 => Some(Signal::Metrics),
            _ => None,
        }
    }

    /// The discriminant.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Signal {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Signal::ALL
            .into_iter()
            .find(|signal| signal.name() == text)
            .ok_or(())
    }
}
