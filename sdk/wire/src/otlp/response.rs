//! The small messages that travel back: `Export*ServiceResponse` and `google.rpc.Status`.

/// `partial_success` of an export response; zero and empty when everything was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialSuccess {
    /// `rejected_spans`, `rejected_log_records` or `rejected_data_points`.
    pub rejected: u64,
    /// The peer's words.
    pub message: String,
}

/// Reads the protobuf form of any of the three export responses.
pub fn read(body: &[u8]) -> Result<PartialSuccess, ()> {
    todo!()
}

/// The protobuf form of an export response.
pub fn write(partial: &PartialSuccess) -> Vec<u8> {
    todo!()
}

/// The message of a `google.rpc.Status`, if the body is one.
pub fn status_message(body: &[u8]) -> Option<String> {
    todo!()
}

/// The protobuf form of a `google.rpc.Status`.
pub fn write_status(code: i32, message: &str) -> Vec<u8> {
    todo!()
}
