//! Views of `opentelemetry.proto.logs.v1`.

use super::value::some_value;
use super::{
    Attributes, Repeated, Resource, Scope, Value, bytes, fixed32, fixed64, int32, one, text,
    uint32, view,
};

view! {
    /// The log records of one resource.
    ResourceLogs {
        /// What the records are about; empty if the sender named none.
        1 resource: Resource<'a> = one;
        /// The schema of the resource's attributes.
        3 schema_url: &'a str = text;
    }
    repeated {
        /// The records, by the library that wrote them.
        2 scopes -> Repeated<'a, ScopeLogs<'a>> = Repeated::new;
    }
}

view! {
    /// The log records of one instrumentation scope.
    ScopeLogs {
        /// Who wrote them; empty if the sender named none.
        1 scope: Scope<'a> = one;
        /// The schema of the scope's and the records' attributes.
        3 schema_url: &'a str = text;
    }
    repeated {
        /// The records.
        2 records -> Repeated<'a, LogRecord<'a>> = Repeated::new;
    }
}

view! {
    /// One log record.
    LogRecord {
        /// When it happened, nanoseconds since the Unix epoch; 0 if not known.
        1 time_unix_nano: u64 = fixed64;
        /// A `SeverityNumber` from 1 (trace) to 24 (fatal); 0 if not known.
        2 severity_number: i32 = int32;
        /// The severity in the words of the source.
        3 severity_text: &'a str = text;
        /// What it says; absent and empty are different.
        5 body: Option<Value<'a>> = some_value;
        /// Attributes that the sender left out.
        7 dropped_attributes_count: u32 = uint32;
        /// W3C trace flags in the low byte.
        8 flags: u32 = fixed32;
        /// The trace it belongs to; 16 bytes if valid, mostly empty.
        9 trace_id: &'a [u8] = bytes;
        /// The span it belongs to; 8 bytes if valid, mostly empty.
        10 span_id: &'a [u8] = bytes;
        /// When it was collected, nanoseconds since the Unix epoch.
        11 observed_time_unix_nano: u64 = fixed64;
        /// The event's class, for records that are events.
        12 event_name: &'a str = text;
    }
    repeated {
        /// The attributes.
        6 attributes -> Attributes<'a> = Attributes::new;
    }
}

view! {
    /// Of a log record, what decides where its row goes: cheaper than all of it.
    LogHead {
        /// When it happened, nanoseconds since the Unix epoch; 0 if not known.
        1 time_unix_nano: u64 = fixed64;
        /// When it was collected, nanoseconds since the Unix epoch.
        11 observed_time_unix_nano: u64 = fixed64;
    }
}
