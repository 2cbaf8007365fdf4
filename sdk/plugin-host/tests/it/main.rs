//! The plugin host from outside: the shipped redactor on all signals, and guests that mean harm.

mod evil;
mod guest;
mod load;
mod otlp;
mod redact;
