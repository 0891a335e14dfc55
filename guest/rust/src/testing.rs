//! A world for unit tests: outside of WebAssembly the helper's calls are answered from here, one world a
//! thread, and so one a test.
//!
//! ```
//! nexus::testing::with(|world| world.keys.insert("visits.u42".into(), b"3".to_vec()));
//! nexus::publish("user.seen", &nexus::object! { visits: 4 }).unwrap();
//! let published = nexus::testing::with(|world| world.published.clone());
//! assert_eq!(published[0].event_type, "user.seen");
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;

/// A log line that was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub level: i32,
    pub text: String,
    /// A JSON object, or empty.
    pub fields: String,
}

/// An event that was published.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    pub event_type: String,
    pub content_type: String,
    pub data: Vec<u8>,
}

/// What the function sees, and what it did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct World {
    pub keys: BTreeMap<String, Vec<u8>>,
    pub lines: Vec<Line>,
    pub published: Vec<Published>,
    /// Status and header lines of the answer, where the function said something of it.
    pub response: Option<(i32, String)>,
    /// What [`crate::now`] answers.
    pub now: i64,
    /// What [`crate::random`] begins from.
    pub seed: u64,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::default());
}

/// Look at this thread's world, or change it.
pub fn with<T>(work: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with(|world| work(&mut world.borrow_mut()))
}

/// Begin with an empty world.
pub fn reset() {
    with(|world| *world = World::default());
}

pub(crate) mod host {
    use super::{with, Line, Published};

    const INVALID: i32 = 28;

    fn is_name(name: &str) -> bool {
        (1..=512).contains(&name.len())
    }

    pub fn log(level: i32, text: &str, fields: &str) -> i32 {
        with(|world| world.lines.push(Line { level, text: text.into(), fields: fields.into() }));
        0
    }
    pub fn publish(event_type: &str, content_type: &str, data: &[u8]) -> i32 {
        if !is_name(event_type) {
            return INVALID;
        }
        with(|world| {
            world.published.push(Published {
                event_type: event_type.into(),
                content_type: if content_type.is_empty() { "application/json" } else { content_type }.into(),
                data: data.into(),
            })
        });
        0
    }
    pub fn respond(status: i32, headers: &str) -> i32 {
        if !(200..=599).contains(&status) {
            return INVALID;
        }
        with(|world| world.response = Some((status, headers.into())));
        0
    }
    pub fn kv_get(key: &str, buffer: &mut [u8], len_out: &mut usize) -> i32 {
        if !is_name(key) {
            return INVALID;
        }
        with(|world| match world.keys.get(key) {
            None => {
                *len_out = 0;
                44
            }
            Some(value) => {
                *len_out = value.len();
                if value.len() > buffer.len() {
                    return 61;
                }
                buffer[..value.len()].copy_from_slice(value);
                0
            }
        })
    }
    pub fn kv_set(key: &str, value: &[u8]) -> i32 {
        if !is_name(key) || value.len() > 512 * 1024 {
            return INVALID;
        }
        with(|world| world.keys.insert(key.into(), value.into()));
        0
    }
    pub fn kv_delete(key: &str) -> i32 {
        if !is_name(key) {
            return INVALID;
        }
        with(|world| world.keys.remove(key));
        0
    }
    pub fn now() -> i64 {
        with(|world| world.now)
    }
    pub fn random(bytes: &mut [u8]) -> i32 {
        with(|world| {
            for byte in bytes {
                world.seed = world.seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                *byte = (world.seed >> 56) as u8;
            }
        });
        0
    }
}
