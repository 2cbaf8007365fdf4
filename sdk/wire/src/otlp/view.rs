//! Names for the bytes of a checked [`Batch`]: every field of OTLP, read where it lies.
//!
//! A view is a slice and the scalars in it, found in one pass when the view is made; repeated
//! fields are walked when asked for. Nothing is allocated and nothing can fail: the batch was
//! checked. Over bytes that were not, a view shows defaults from the first malformed byte on.
//! A scalar given twice has its last value, as in every protobuf reader.
//!
//! `bytes()` of a view is its message as received, for caches keyed by content and for splicing.

use std::marker::PhantomData;

use super::fields::{Fields, Wire};
use crate::{Batch, Signal};

mod logs;
mod metrics;
mod traces;
mod value;

pub use logs::{LogHead, LogRecord, ResourceLogs, ScopeLogs};
pub use metrics::{
    Buckets, Exemplar, Exponential, ExponentialPoint, Gauge, Histogram, HistogramPoint, Metric,
    MetricData, Number, NumberPoint, Quantile, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryPoint, Temporality,
};
pub use traces::{Event, Link, ResourceSpans, ScopeSpans, Span, SpanHead, Status};
pub use value::{Array, Attributes, Encoded, EncodedValue, Value, write_json_str};

/// The resources of a traces request.
pub fn traces(batch: &Batch) -> Repeated<'_, ResourceSpans<'_>> {
    Repeated::new(of(batch, Signal::Traces), 1)
}

/// The resources of a logs request.
pub fn logs(batch: &Batch) -> Repeated<'_, ResourceLogs<'_>> {
    Repeated::new(of(batch, Signal::Logs), 1)
}

/// The resources of a metrics request.
pub fn metrics(batch: &Batch) -> Repeated<'_, ResourceMetrics<'_>> {
    Repeated::new(of(batch, Signal::Metrics), 1)
}

/// A batch of another signal has none of what was asked for.
fn of(batch: &Batch, signal: Signal) -> &[u8] {
    debug_assert_eq!(batch.signal(), signal, "a view of another signal's batch");
    if batch.signal() == signal {
        batch.bytes()
    } else {
        &[]
    }
}

/// A message that can be read where it lies.
pub trait View<'a>: Sized {
    /// Reads the scalars of `message`, the bytes without their own key and length.
    fn read(message: &'a [u8]) -> Self;
}

/// A repeated message field.
#[derive(Clone, Debug)]
pub struct Repeated<'a, T> {
    fields: Fields<'a>,
    number: u32,
    of: PhantomData<T>,
}

impl<'a, T: View<'a>> Repeated<'a, T> {
    /// The occurrences of field `number` in `message`.
    pub fn new(message: &'a [u8], number: u32) -> Self {
        Self {
            fields: Fields::new(message),
            number,
            of: PhantomData,
        }
    }

    /// The same occurrences through another view.
    pub fn through<U: View<'a>>(self) -> Repeated<'a, U> {
        Repeated {
            fields: self.fields,
            number: self.number,
            of: PhantomData,
        }
    }
}

impl<'a, T: View<'a>> Iterator for Repeated<'a, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        loop {
            let field = self.fields.next()?;
            if let (true, Wire::Len(bytes)) = (field.number == self.number, field.value) {
                return Some(T::read(bytes));
            }
        }
    }
}

/// A repeated string field.
#[derive(Clone, Debug)]
pub struct Texts<'a>(Fields<'a>, u32);

impl<'a> Texts<'a> {
    fn new(message: &'a [u8], number: u32) -> Self {
        Self(Fields::new(message), number)
    }
}

impl<'a> Iterator for Texts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let number = self.1;
        self.0
            .find(|field| field.number == number)
            .and_then(|field| text(field.value))
    }
}

/// A repeated `fixed64` or `uint64` field, packed or not.
#[derive(Clone, Debug)]
pub struct Integers<'a> {
    fields: Fields<'a>,
    number: u32,
    packed: &'a [u8],
    varint: bool,
}

impl<'a> Integers<'a> {
    fn fixed(message: &'a [u8], number: u32) -> Self {
        Self {
            fields: Fields::new(message),
            number,
            packed: &[],
            varint: false,
        }
    }

    fn varint(message: &'a [u8], number: u32) -> Self {
        Self {
            varint: true,
            ..Self::fixed(message, number)
        }
    }

    fn next_packed(&mut self) -> Option<u64> {
        let mut cursor = super::fields::Cursor::at(self.packed, 0);
        let value = if self.varint {
            cursor.varint()
        } else {
            cursor.fixed64()
        };
        self.packed = &self.packed[cursor.at..];
        value.ok()
    }
}

impl Iterator for Integers<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        loop {
            if !self.packed.is_empty() {
                return self.next_packed();
            }
            let field = self.fields.next()?;
            if field.number != self.number {
                continue;
            }
            match field.value {
                Wire::Len(packed) => self.packed = packed,
                Wire::Varint(value) if self.varint => return Some(value),
                Wire::Fixed64(value) if !self.varint => return Some(value),
                _ => return None,
            }
        }
    }
}

/// A repeated `double` field, packed or not.
#[derive(Clone, Debug)]
pub struct Doubles<'a>(Integers<'a>);

impl<'a> Doubles<'a> {
    fn new(message: &'a [u8], number: u32) -> Self {
        Self(Integers::fixed(message, number))
    }
}

impl Iterator for Doubles<'_> {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        self.0.next().map(f64::from_bits)
    }
}

// How a scalar is read from the wire; `None` for another wire type, which the check refuses.

fn text(value: Wire<'_>) -> Option<&str> {
    bytes(value).and_then(|bytes| std::str::from_utf8(bytes).ok())
}

fn bytes(value: Wire<'_>) -> Option<&[u8]> {
    match value {
        Wire::Len(bytes) => Some(bytes),
        _ => None,
    }
}

fn fixed64(value: Wire<'_>) -> Option<u64> {
    match value {
        Wire::Fixed64(value) => Some(value),
        _ => None,
    }
}

fn fixed32(value: Wire<'_>) -> Option<u32> {
    match value {
        Wire::Fixed32(value) => Some(value),
        _ => None,
    }
}

fn double(value: Wire<'_>) -> Option<f64> {
    fixed64(value).map(f64::from_bits)
}

fn some_double(value: Wire<'_>) -> Option<Option<f64>> {
    double(value).map(Some)
}

fn varint(value: Wire<'_>) -> Option<u64> {
    match value {
        Wire::Varint(value) => Some(value),
        _ => None,
    }
}

fn boolean(value: Wire<'_>) -> Option<bool> {
    varint(value).map(|value| value != 0)
}

/// 32-bit integers keep the low bits of a longer varint, as prost and protoc have it.
#[expect(clippy::cast_possible_truncation, reason = "protobuf truncates")]
fn uint32(value: Wire<'_>) -> Option<u32> {
    varint(value).map(|value| value as u32)
}

fn int32(value: Wire<'_>) -> Option<i32> {
    uint32(value).map(u32::cast_signed)
}

fn sint32(value: Wire<'_>) -> Option<i32> {
    uint32(value).map(|value| (value >> 1).cast_signed() ^ -(value & 1).cast_signed())
}

/// Where the occurrences of a repeated field lie in their message: from the first to the last,
/// with whatever stands between them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Stretch {
    start: usize,
    end: usize,
}

impl Stretch {
    #[inline]
    fn include(&mut self, field: std::ops::Range<usize>) {
        if self.end == 0 {
            self.start = field.start;
        }
        self.end = field.end;
    }

    #[inline]
    fn of(self, message: &[u8]) -> &[u8] {
        message.get(self.start..self.end).unwrap_or_default()
    }
}

/// Declares a view: the scalars that are found in one pass, then the repeated fields that are
/// walked on demand, over the stretch that the same pass has found. Numbers are those of the OTLP
/// protos; a scalar with several is a oneof.
macro_rules! view {
    (
        $(#[$doc:meta])*
        $name:ident {
            $( $(#[$field_doc:meta])* $number:literal $field:ident: $type:ty = $read:expr
                $(, $other:literal = $read_other:expr)*; )*
        }
        $( repeated {
            $( $(#[$many_doc:meta])* $many_number:literal $many:ident -> $many_type:ty = $make:expr; )*
        } )?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub struct $name<'a> {
            bytes: &'a [u8],
            $( $field: $type, )*
            $( $( $many: $crate::otlp::view::Stretch, )* )?
        }

        impl<'a> $crate::otlp::view::View<'a> for $name<'a> {
            #[inline]
            fn read(message: &'a [u8]) -> Self {
                let mut view = Self::default();
                view.bytes = message;
                for field in $crate::otlp::fields::Fields::new(message) {
                    match field.number {
                        $( $number => {
                            if let Some(value) = ($read)(field.value) {
                                view.$field = value;
                            }
                        }
                        $( $other => {
                            if let Some(value) = ($read_other)(field.value) {
                                view.$field = value;
                            }
                        } )* )*
                        $( $( $many_number => view.$many.include(field.range), )* )?
                        _ => {}
                    }
                }
                view
            }
        }

        impl<'a> $name<'a> {
            /// The message as received.
            #[inline]
            pub fn bytes(&self) -> &'a [u8] {
                self.bytes
            }

            $(
                $(#[$field_doc])*
                #[inline]
                pub fn $field(&self) -> $type {
                    self.$field
                }
            )*

            $( $(
                $(#[$many_doc])*
                #[inline]
                pub fn $many(&self) -> $many_type {
                    ($make)(self.$many.of(self.bytes), $many_number)
                }
            )* )?
        }
    };
}
use view;

/// Reads a singular message.
fn one<'a, T: View<'a>>(value: Wire<'a>) -> Option<T> {
    bytes(value).map(T::read)
}

/// Reads a singular message that may be absent.
fn some<'a, T: View<'a>>(value: Wire<'a>) -> Option<Option<T>> {
    one(value).map(Some)
}

view! {
    /// The entity that telemetry is about: its attributes name service, host, process.
    Resource {
        /// Attributes that the sender left out.
        2 dropped_attributes_count: u32 = uint32;
    }
    repeated {
        /// The attributes; keys should be unique, but nothing enforces it.
        1 attributes -> Attributes<'a> = Attributes::new;
        /// Which attributes identify which entity.
        3 entity_refs -> Repeated<'a, EntityRef<'a>> = Repeated::new;
    }
}

view! {
    /// The attribute keys by which one entity of a resource is known.
    EntityRef {
        /// The schema of the entity.
        1 schema_url: &'a str = text;
        /// `service`, `host`, ...
        2 entity_type: &'a str = text;
    }
    repeated {
        /// Keys of the identifying attributes.
        3 id_keys -> Texts<'a> = Texts::new;
        /// Keys of the describing attributes.
        4 description_keys -> Texts<'a> = Texts::new;
    }
}

view! {
    /// The library or module that recorded the items.
    Scope {
        /// Its name.
        1 name: &'a str = text;
        /// Its version.
        2 version: &'a str = text;
        /// Attributes that the sender left out.
        4 dropped_attributes_count: u32 = uint32;
    }
    repeated {
        /// The scope's own attributes.
        3 attributes -> Attributes<'a> = Attributes::new;
    }
}
