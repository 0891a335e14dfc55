//! What a Nexus function can ask of its host, beyond WASI. No dependencies; Rust 1.63 or newer.
//!
//! ```no_run
//! fn main() {
//!     nexus::run(|event| {
//!         let user = event.data["user_id"].as_str().ok_or("the event has no user_id")?;
//!         nexus::info!("Processing user event", user_id = user);
//!         nexus::publish("user.welcomed", &nexus::object! { user_id: user })?;
//!         Ok(nexus::object! { welcomed: user })
//!     });
//! }
//! ```
//!
//! Published events and key-value writes take effect when the function succeeds, all of them and once; when it
//! fails, none does, and the event is tried again. Outside of WebAssembly the same calls are answered by
//! [`testing`], so that a function's tests need no server. The contract is `spec/guest-interface.md`.

mod event;
mod host;
mod json;
pub mod kv;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use event::Event;
pub use json::Json;

use std::fmt;

/// Why a call of the host was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// An argument that is not allowed: an empty key, a type that is too long, fields that are no object.
    Invalid,
    /// Any other WASI errno.
    Errno(i32),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Invalid => write!(out, "an argument is not allowed"),
            Error::Errno(number) => write!(out, "the host answered with errno {}", number),
        }
    }
}

impl std::error::Error for Error {}

pub(crate) fn check(errno: i32) -> Result<(), Error> {
    match errno {
        0 => Ok(()),
        28 => Err(Error::Invalid),
        other => Err(Error::Errno(other)),
    }
}

/// How important a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Debug = 0,
    Info = 1,
    Warn = 2,
    Error = 3,
}

/// What a handler may return: `()` for no output, [`Json`], text or bytes.
pub trait IntoOutput {
    fn into_output(self) -> Vec<u8>;
}
impl IntoOutput for () {
    fn into_output(self) -> Vec<u8> {
        Vec::new()
    }
}
impl IntoOutput for Json {
    fn into_output(self) -> Vec<u8> {
        self.to_string().into_bytes()
    }
}
impl IntoOutput for String {
    fn into_output(self) -> Vec<u8> {
        self.into_bytes()
    }
}
impl IntoOutput for Vec<u8> {
    fn into_output(self) -> Vec<u8> {
        self
    }
}

/// What a handler gives: an error of any kind, also a text, ends the call as failed.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Read the event from standard input, call the handler, print what it returns. An error is logged with level
/// ERROR and ends the function with status 1: no effect is made, and the event is tried again.
pub fn run<T: IntoOutput>(handler: impl FnOnce(Event) -> Outcome<T>) {
    use std::io::{Read, Write};

    let mut input = Vec::new();
    let done = std::io::stdin()
        .read_to_end(&mut input)
        .map_err(Into::into)
        .and_then(|_| Event::parse(&input).map_err(Into::into))
        .and_then(handler)
        .and_then(|output| std::io::stdout().write_all(&output.into_output()).map_err(Into::into));
    if let Err(error) = done {
        let _ = log(Level::Error, &error.to_string(), &Json::Null);
        std::process::exit(1);
    }
}

/// Write a log line. `fields` is an object, or [`Json::Null`] for none. Mostly written as [`info!`] and its
/// siblings.
pub fn log(level: Level, text: &str, fields: &Json) -> Result<(), Error> {
    let fields = if *fields == Json::Null { String::new() } else { fields.to_string() };
    check(host::log(level as i32, text, &fields))
}

/// Publish an event of this type with JSON as its data, when the call succeeds.
pub fn publish(event_type: &str, data: &Json) -> Result<(), Error> {
    publish_as(event_type, "application/json", data.to_string().as_bytes())
}

/// Publish an event whose data is of any content type.
pub fn publish_as(event_type: &str, content_type: &str, data: &[u8]) -> Result<(), Error> {
    check(host::publish(event_type, content_type, data))
}

/// The status (200 to 599) and headers of the answer, whose body is what the handler returns: for functions with
/// `respond: result`. The last call counts.
pub fn respond(status: u16, headers: &[(&str, &str)]) -> Result<(), Error> {
    let mut lines = String::new();
    for (name, value) in headers {
        if name.contains(['\r', '\n']) || value.contains(['\r', '\n']) {
            return Err(Error::Invalid);
        }
        lines.push_str(name);
        lines.push_str(": ");
        lines.push_str(value);
        lines.push('\n');
    }
    check(host::respond(status.into(), &lines))
}

/// Wall time in nanoseconds since 1970. `std::time` works too; a replay gives both the same again.
pub fn now() -> i64 {
    host::now()
}

/// Fill the bytes with random ones; a replay gives the same again.
pub fn random(bytes: &mut [u8]) -> Result<(), Error> {
    for part in bytes.chunks_mut(1 << 20) {
        check(host::random(part))?;
    }
    Ok(())
}

/// An environment variable: the manifest's `env`, and `TRACE_ID`, `NEXUS_EVENT_ID`, `NEXUS_IS_REPLAY` …
pub fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A JSON object: `object! { user_id: user, visits: 3 }`.
#[macro_export]
macro_rules! object {
    ($($name:ident : $value:expr),* $(,)?) => {
        $crate::Json::Object(vec![$((stringify!($name).to_string(), $crate::Json::from($value))),*])
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! log_line {
    ($level:expr, $text:expr $(, $name:ident = $value:expr)* $(,)?) => {
        let _ = $crate::log($level, AsRef::<str>::as_ref(&$text), &$crate::object! { $($name: $value),* });
    };
}

/// A log line of level DEBUG: `debug!("looked up", key = key)`.
#[macro_export]
macro_rules! debug {
    ($($rest:tt)*) => { $crate::log_line!($crate::Level::Debug, $($rest)*) };
}
/// A log line of level INFO.
#[macro_export]
macro_rules! info {
    ($($rest:tt)*) => { $crate::log_line!($crate::Level::Info, $($rest)*) };
}
/// A log line of level WARN.
#[macro_export]
macro_rules! warn {
    ($($rest:tt)*) => { $crate::log_line!($crate::Level::Warn, $($rest)*) };
}
/// A log line of level ERROR.
#[macro_export]
macro_rules! error {
    ($($rest:tt)*) => { $crate::log_line!($crate::Level::Error, $($rest)*) };
}
