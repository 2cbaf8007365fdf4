//! Views of `opentelemetry.proto.trace.v1`.

use super::{
    Attributes, Repeated, Resource, Scope, bytes, fixed32, fixed64, int32, one, text, uint32, view,
};

view! {
    /// The spans of one resource.
    ResourceSpans {
        /// What the spans are about; empty if the sender named none.
        1 resource: Resource<'a> = one;
        /// The schema of the resource's attributes.
        3 schema_url: &'a str = text;
    }
    repeated {
        /// The spans, by the library that recorded them.
        2 scopes -> Repeated<'a, ScopeSpans<'a>> = Repeated::new;
    }
}

view! {
    /// The spans of one instrumentation scope.
    ScopeSpans {
        /// Who recorded them; empty if the sender named none.
        1 scope: Scope<'a> = one;
        /// The schema of the scope's and the spans' attributes.
        3 schema_url: &'a str = text;
    }
    repeated {
        /// The spans.
        2 spans -> Repeated<'a, Span<'a>> = Repeated::new;
    }
}

view! {
    /// One operation of a trace. Ids have whatever length the sender gave them; 16 and 8 bytes
    /// are valid.
    Span {
        /// 16 bytes if valid.
        1 trace_id: &'a [u8] = bytes;
        /// 8 bytes if valid.
        2 span_id: &'a [u8] = bytes;
        /// W3C trace state.
        3 trace_state: &'a str = text;
        /// Empty for a root.
        4 parent_span_id: &'a [u8] = bytes;
        /// What the operation is called.
        5 name: &'a str = text;
        /// A `SpanKind`: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
        6 kind: i32 = int32;
        /// Start, nanoseconds since the Unix epoch.
        7 start_time_unix_nano: u64 = fixed64;
        /// End, nanoseconds since the Unix epoch.
        8 end_time_unix_nano: u64 = fixed64;
        /// Attributes that the sender left out.
        10 dropped_attributes_count: u32 = uint32;
        /// Events that the sender left out.
        12 dropped_events_count: u32 = uint32;
        /// Links that the sender left out.
        14 dropped_links_count: u32 = uint32;
        /// How it ended; unset if the sender said nothing.
        15 status: Status<'a> = one;
        /// W3C trace flags in the low byte, `SpanFlags` above.
        16 flags: u32 = fixed32;
    }
    repeated {
        /// The attributes.
        9 attributes -> Attributes<'a> = Attributes::new;
        /// What happened during the span.
        11 events -> Repeated<'a, Event<'a>> = Repeated::new;
        /// Other spans it has to do with.
        13 links -> Repeated<'a, Link<'a>> = Repeated::new;
    }
}

view! {
    /// Of a span, what decides where its row goes, and what it adds to its trace: cheaper than all
    /// of it.
    SpanHead {
        /// 16 bytes if valid.
        1 trace_id: &'a [u8] = bytes;
        /// What the operation is called.
        5 name: &'a str = text;
        /// Start, nanoseconds since the Unix epoch.
        7 start_time_unix_nano: u64 = fixed64;
        /// End, nanoseconds since the Unix epoch.
        8 end_time_unix_nano: u64 = fixed64;
        /// How it ended; unset if the sender said nothing.
        15 status: Status<'a> = one;
    }
}

view! {
    /// A moment within a span.
    Event {
        /// When, nanoseconds since the Unix epoch.
        1 time_unix_nano: u64 = fixed64;
        /// `exception` and the like.
        2 name: &'a str = text;
        /// Attributes that the sender left out.
        4 dropped_attributes_count: u32 = uint32;
    }
    repeated {
        /// The attributes.
        3 attributes -> Attributes<'a> = Attributes::new;
    }
}

view! {
    /// A pointer to another span.
    Link {
        /// Its trace; 16 bytes if valid.
        1 trace_id: &'a [u8] = bytes;
        /// Its id; 8 bytes if valid.
        2 span_id: &'a [u8] = bytes;
        /// W3C trace state.
        3 trace_state: &'a str = text;
        /// Attributes that the sender left out.
        5 dropped_attributes_count: u32 = uint32;
        /// W3C trace flags in the low byte, `SpanFlags` above.
        6 flags: u32 = fixed32;
    }
    repeated {
        /// The attributes.
        4 attributes -> Attributes<'a> = Attributes::new;
    }
}

view! {
    /// How a span ended.
    Status {
        /// Why it failed.
        2 message: &'a str = text;
        /// A `StatusCode`: 0 unset, 1 ok, 2 error.
        3 code: i32 = int32;
    }
}
