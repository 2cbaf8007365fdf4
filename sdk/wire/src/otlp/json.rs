//! The JSON form of OTLP into protobuf.
use crate::{Limits, Malformed, Signal};

/// Translates.
pub fn to_protobuf(signal: Signal, _text: &[u8], _limits: &Limits) -> Result<Vec<u8>, Malformed> {
    Err(Malformed::Json {
        signal,
        reason: "not yet".to_owned(),
    })
}
