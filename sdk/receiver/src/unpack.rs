//! From the bytes of a body to an [`Arrival`]: unpacking, checking, comparing with its identity.

use bytes::Bytes;
use petrel_wire::{Batch, BatchId, Limits, Sealed, Signal};
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
