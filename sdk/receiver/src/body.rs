//! Reading bodies: at a pace, under a cap, with every byte paid for before it is kept.

use std::time::Duration;

use axum::body::Body;
use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use tokio::time::Instant;

use crate::{
    ReceiverConfig, Refused,
    budget::Share,
    inflate::{Coding, first_output_bytes},
};

/// How much is reserved at once while the length is unknown.
const STEP: usize = 64 << 10;

/// Slower than this, on top of the grace, is a trickle that holds memory.
const SLOWEST_BYTES_PER_SECOND: u64 = 1024;

/// A body on its way in.
#[derive(Debug)]
pub(crate) struct Incoming {
    body: Body,
    idle: Duration,
    grace: Duration,
    started: Instant,
    deadline: Option<Instant>,
    received_bytes: u64,
}

impl Incoming {
    /// `deadline` is the caller's own, if it named one.
    pub(crate) fn new(body: Body, config: &ReceiverConfig, deadline: Option<Instant>) -> Self {
        Self {
            body,
            idle: config.body_idle,
            grace: config.body_grace,
            started: Instant::now(),
            deadline,
            received_bytes: 0,
        }
    }

    /// The next piece; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Refused> {
        loop {
            let now = Instant::now();
            let earned = Duration::from_secs(self.received_bytes / SLOWEST_BYTES_PER_SECOND);
            let mut until = (now + self.idle).min(self.started + self.grace + earned);
            if let Some(deadline) = self.deadline {
                until = until.min(deadline);
            }
            let frame = tokio::time::timeout_at(until, self.body.frame())
                .await
                .map_err(|_| {
                    Refused::TooSlow("the body did not arrive in time; send it again".to_owned())
                })?;
            match frame {
                None => return Ok(None),
                Some(Err(_)) => {
                    return Err(Refused::Malformed(
                        "the body ended before it was complete".to_owned(),
                    ));
                }
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.received_bytes += bytes.len() as u64;
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// Everything, which is at most `cap` bytes; `length` is what the sender announced. With a
    /// length, room for what is in it is reserved as well, before anything is read: a request that
    /// is refused after it was read has cost its sender, the link and us the most.
    pub(crate) async fn read_all(
        &mut self,
        length: Option<u64>,
        cap: usize,
        coding: Coding,
        share: &mut Share,
    ) -> Result<Bytes, Refused> {
        let too_large = || {
            Refused::TooLarge(format!(
                "the body has more than {cap} bytes, which is the most that is read; export smaller batches"
            ))
        };
        let mut buffer = BytesMut::new();
        if let Some(length) = length {
            let length = usize::try_from(length).map_err(|_| too_large())?;
            if length > cap {
                return Err(too_large());
            }
            share.reserve(length, first_output_bytes(coding, length, cap))?;
            share.grow(length)?;
            buffer.reserve(length);
        }
        while let Some(piece) = self.next().await? {
            if buffer.len() + piece.len() > cap {
                return Err(too_large());
            }
            if buffer.len() + piece.len() > buffer.capacity() {
                let more = piece.len().max(STEP).max(buffer.capacity());
                share.grow(more)?;
                buffer.reserve(more);
            }
            buffer.extend_from_slice(&piece);
        }
        Ok(buffer.freeze())
    }

    /// The one message of a unary gRPC call, and whether it is compressed.
    pub(crate) async fn read_message(
        &mut self,
        cap: usize,
        coding: Coding,
        share: &mut Share,
    ) -> Result<(bool, Bytes), Refused> {
        let incomplete =
            || Refused::Malformed("the call ended before its message was complete".to_owned());
        let mut buffer = BytesMut::new();
        while buffer.len() < 5 {
            buffer.extend_from_slice(&self.next().await?.ok_or_else(incomplete)?);
        }
        let compressed = match buffer.get_u8() {
            0 => false,
            1 => true,
            _ => {
                return Err(Refused::Malformed(
                    "the first byte of a gRPC message is neither 0 nor 1".to_owned(),
                ));
            }
        };
        let length = buffer.get_u32() as usize;
        if length > cap {
            return Err(Refused::TooLarge(format!(
                "the message has {length} bytes, {cap} are read at most; export smaller batches"
            )));
        }
        let coding = if compressed { coding } else { Coding::Identity };
        share.reserve(length, first_output_bytes(coding, length, cap))?;
        share.grow(length)?;
        buffer.reserve(length.saturating_sub(buffer.len()));
        while let Some(piece) = self.next().await? {
            buffer.extend_from_slice(&piece);
            if buffer.len() > length {
                break;
            }
        }
        match buffer.len().cmp(&length) {
            std::cmp::Ordering::Less => Err(incomplete()),
            std::cmp::Ordering::Equal => Ok((compressed, buffer.freeze())),
            std::cmp::Ordering::Greater => Err(Refused::Malformed(
                "an export call carries exactly one message".to_owned(),
            )),
        }
    }

    /// Reads on for a while and forgets: an HTTP/1.1 sender that is still writing would otherwise
    /// see its connection reset instead of the answer.
    pub(crate) async fn forget(mut self) {
        const MOST_BYTES: u64 = 128 << 20;
        self.deadline = Some(Instant::now() + Duration::from_secs(10));
        while self.received_bytes < MOST_BYTES {
            match self.next().await {
                Ok(Some(_)) => {}
                _ => return,
            }
        }
    }
}
