//! Cutting a batch by encoded size.
//!
//! A request is a tree of containers: resources hold scopes, scopes hold items (or metrics, which
//! hold data that holds points). What a container says about itself, unknown fields included, is
//! its *header*; it is repeated in every part that has something of the container. Items are
//! copied as they are, in their order, and never cut. Nothing is decoded.

use super::fields::{Field, Fields, put_len, varint_len};
use crate::{Batch, Signal};

/// The fields of `Metric` that hold data points.
const METRIC_DATA: [u32; 5] = [5, 7, 9, 10, 11];

pub(crate) fn split(batch: &Batch, limit: usize) -> Vec<Batch> {
    if batch.bytes().len() <= limit || batch.items() < 2 {
        return vec![batch.clone()];
    }
    let mut cut = Cut {
        signal: batch.signal(),
        limit,
        path: Vec::new(),
        items: 0,
        parts: Vec::new(),
    };
    cut.container(0, batch.bytes(), |field| field.number == 1, Cut::resource);
    cut.finish_part();
    cut.parts
}

struct Cut {
    signal: Signal,
    limit: usize,
    /// The containers that are open, the request itself first.
    path: Vec<Open>,
    /// Items in the part that is being written.
    items: u32,
    parts: Vec<Batch>,
}

struct Open {
    /// Its field number in its parent.
    number: u32,
    header: Vec<u8>,
    /// What the part under way has of it, its header first.
    body: Vec<u8>,
    /// Something besides the header is in it.
    used: bool,
}

impl Cut {
    fn resource(&mut self, field: &Field<'_>, resource: &[u8]) {
        self.container(
            field.number,
            resource,
            |field| field.number == 2,
            Cut::scope,
        );
    }

    fn scope(&mut self, field: &Field<'_>, scope: &[u8]) {
        let each = match self.signal {
            Signal::Metrics => Cut::metric,
            Signal::Traces | Signal::Logs => Cut::item,
        };
        self.container(field.number, scope, |field| field.number == 2, each);
    }

    fn item(&mut self, field: &Field<'_>, item: &[u8]) {
        self.add(field.number, item, 1);
    }

    /// A metric stays whole if it fits into a part of its own; else its points are divided.
    fn metric(&mut self, field: &Field<'_>, metric: &[u8]) {
        let data = Fields::new(metric).filter(|field| METRIC_DATA.contains(&field.number));
        let points: usize = data
            .filter_map(|field| field.len_bytes())
            .map(|data| Fields::new(data).filter(|point| point.number == 1).count())
            .sum();
        let alone = self.size(framed(field.number, metric.len()), |open| open.header.len());
        if alone > self.limit && points > 1 {
            let is_data = |field: &Field<'_>| METRIC_DATA.contains(&field.number);
            self.container(field.number, metric, is_data, Cut::data);
        } else {
            let points = u32::try_from(points).expect("the batch counted its items in 32 bits");
            self.add(field.number, metric, points);
        }
    }

    fn data(&mut self, field: &Field<'_>, data: &[u8]) {
        self.container(field.number, data, |field| field.number == 1, Cut::item);
    }

    /// Opens a container, hands its children on, and closes it.
    fn container(
        &mut self,
        number: u32,
        message: &[u8],
        is_child: impl Fn(&Field<'_>) -> bool,
        each: fn(&mut Self, &Field<'_>, &[u8]),
    ) {
        let mut header = Vec::new();
        let mut children = 0_usize;
        for field in Fields::new(message) {
            if is_child(&field) && field.len_bytes().is_some() {
                children += 1;
            } else {
                header.extend_from_slice(&message[field.range]);
            }
        }
        self.path.push(Open {
            number,
            body: header.clone(),
            header,
            used: false,
        });
        for field in Fields::new(message) {
            if let (true, Some(child)) = (is_child(&field), field.len_bytes()) {
                each(self, &field, child);
            }
        }
        if children == 0 {
            // Said something and holds nothing: kept as it is.
            self.make_room(0);
            self.mark_used();
        }
        if self.path.len() > 1 {
            self.close();
        }
    }

    fn add(&mut self, number: u32, message: &[u8], items: u32) {
        self.make_room(framed(number, message.len()));
        self.mark_used();
        self.items += items;
        if let Some(open) = self.path.last_mut() {
            put_len(&mut open.body, number, message);
        }
    }

    fn make_room(&mut self, bytes: usize) {
        if self.size(bytes, |open| open.body.len()) > self.limit {
            self.finish_part();
        }
    }

    fn mark_used(&mut self) {
        for open in &mut self.path {
            open.used = true;
        }
    }

    /// The encoded size of the part with `bytes` more in the innermost container.
    fn size(&self, bytes: usize, of: impl Fn(&Open) -> usize) -> usize {
        let mut size = bytes;
        for (depth, open) in self.path.iter().enumerate().rev() {
            size += of(open);
            if depth > 0 {
                size = framed(open.number, size);
            }
        }
        size
    }

    fn close(&mut self) {
        if let Some(open) = self.path.pop()
            && open.used
            && let Some(parent) = self.path.last_mut()
        {
            put_len(&mut parent.body, open.number, &open.body);
        }
    }

    /// Closes everything into a part, and opens the same containers again for the next one.
    fn finish_part(&mut self) {
        // Nothing but headers so far: the part has not begun, and they stay in it.
        if !self.path.iter().any(|open| open.used) {
            return;
        }
        let mut inner: Option<(u32, Vec<u8>)> = None;
        for (depth, open) in self.path.iter_mut().enumerate().rev() {
            // The request's own unknown fields go with the first part alone.
            let again = if depth > 0 {
                open.header.clone()
            } else {
                Vec::new()
            };
            let mut body = std::mem::replace(&mut open.body, again);
            let used = std::mem::take(&mut open.used);
            if let Some((number, inner)) = inner.take() {
                put_len(&mut body, number, &inner);
            }
            if used {
                inner = Some((open.number, body));
            }
        }
        if let Some((_, request)) = inner {
            let items = std::mem::take(&mut self.items);
            self.parts
                .push(Batch::trusted(self.signal, items, request.into()));
        }
    }
}

/// The size of a length-delimited field.
fn framed(number: u32, bytes: usize) -> usize {
    varint_len(u64::from(number) << 3) + varint_len(bytes as u64) + bytes
}
