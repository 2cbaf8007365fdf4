//! Lines for the operator, in the agent's log. The host limits how many there are and how long they
//! may be. Never log telemetry.

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Every step.
    Trace = 1,
    /// For the plugin's author.
    Debug = 2,
    /// What the plugin decided once.
    Info = 3,
    /// It coped, but someone may want to know.
    Warn = 4,
    /// Someone should look.
    Error = 5,
}

/// Says something.
pub fn write(level: Level, message: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::petrel::plugin::log::write(level as u8, message);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::said(level, message);
}

/// [`Level::Debug`].
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

/// [`Level::Info`].
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// [`Level::Warn`].
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

/// [`Level::Error`].
pub fn error(message: &str) {
    write(Level::Error, message);
}
