//! The JSON form of OTLP into protobuf.
use crate::{Limits, Malformed, Signal};
/// Translates.
pub fn to_protobuf(signal: Signal, text: &[u8], limits: &Limits) -> Result<Vec<u8>, Malformed> {
    todo!()
}
