//! From the bytes of a body to an [`Arrival`]: unpacking, checking, comparing with its identity.

use bytes::Bytes;
use petrel_wire::{Batch, BatchId, Limits, Sealed, Signal, zstd_content_bytes};
use xxhash_rust::xxh3::xxh3_128;

use crate::{
    Arrival, Refused,
    budget::Share,
    inflate::{Coding, inflate},
};

/// The two encodings of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Protobuf,
    Json,
}

/// A body as it came, with what its headers say about it.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) signal: Signal,
    pub(crate) form: Form,
    pub(crate) coding: Coding,
    pub(crate) id: Option<BatchId>,
    pub(crate) body: Bytes,
}

impl Packed {
    /// Makes sure of the memory that opening it will take, as far as that is known beforehand: who
    /// waits for a turn only to be refused has waited for nothing.
    pub(crate) fn reserve(&self, limits: &Limits, share: &mut Share) -> Result<(), Refused> {
        let content = match self.coding {
            Coding::Zstd => zstd_content_bytes(&self.body),
            _ => None,
        };
        match content {
            Some(bytes) if bytes <= limits.request_bytes => share.reserve(bytes, 0),
            _ => Ok(()), // opening it says what is wrong with it
        }
    }

    /// Opens it. Takes the thread for as long as that takes.
    pub(crate) fn open(self, limits: &Limits, share: &mut Share) -> Result<Arrival, Refused> {
        if let Some(id) = &self.id {
            self.check_identity(id)?;
        }
        let bytes = match self.coding {
            Coding::Identity if self.body.len() > limits.request_bytes => {
                return Err(Refused::TooLarge(format!(
                    "the request has {} bytes, {} are allowed; export smaller batches",
                    self.body.len(),
                    limits.request_bytes
                )));
            }
            Coding::Identity => self.body.clone(),
            _ if self.body.is_empty() => Bytes::new(),
            coding => inflate(coding, &self.body, limits.request_bytes, share)?.into(),
        };
        let batch = match self.form {
            Form::Protobuf => Batch::from_protobuf(self.signal, bytes, limits)?,
            Form::Json if bytes.is_empty() => Batch::from_protobuf(self.signal, bytes, limits)?,
            Form::Json => {
                // The protobuf form is smaller than the text, and stands beside it for a moment.
                share.grow(bytes.len())?;
                Batch::from_json(self.signal, &bytes, limits)?
            }
        };
        Ok(match self.id {
            None => Arrival::Bare(batch),
            Some(id) => {
                let sealed =
                    Sealed::from_parts(self.signal, batch.items(), batch.bytes().len(), self.body);
                Arrival::Sealed { id, sealed, batch }
            }
        })
    }

    /// A batch with an identity is a zstd frame of protobuf, and its name holds its hash.
    fn check_identity(&self, id: &BatchId) -> Result<(), Refused> {
        if self.form != Form::Protobuf || self.coding != Coding::Zstd {
            return Err(Refused::Malformed(format!(
                "a request with a {} header must be protobuf, compressed with zstd",
                BatchId::HEADER
            )));
        }
        let hash = xxh3_128(&self.body);
        if hash != id.hash {
            return Err(Refused::Malformed(format!(
                "the body's hash is {hash:032x}, its {} header says {:032x}; it was changed on the way",
                BatchId::HEADER,
                id.hash
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    fn packed(content_bytes: usize) -> Packed {
        Packed {
            signal: Signal::Traces,
            form: Form::Protobuf,
            coding: Coding::Zstd,
            id: None,
            body: zstd::bulk::compress(&vec![0; content_bytes], 1)
                .unwrap()
                .into(),
        }
    }

    #[test]
    fn a_body_that_says_how_long_its_content_is_is_refused_before_it_waits_for_a_turn() {
        let (budget, limits) = (Budget::new(100 << 10), Limits::default());
        let mut other = budget.share(1);
        other.grow(60 << 10).unwrap();
        let mut share = budget.share(1);
        let refused = packed(64 << 10).reserve(&limits, &mut share);
        assert!(matches!(refused, Err(Refused::Busy { .. })), "{refused:?}");
        packed(32 << 10).reserve(&limits, &mut share).unwrap();
        let full = budget.share(1).grow(9 << 10);
        assert!(
            full.is_err(),
            "what was reserved is there when its turn comes"
        );
    }
}
