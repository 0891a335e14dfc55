//! The imports of the module `nexus`; outside of WebAssembly, the world of `testing`.

#[cfg(target_arch = "wasm32")]
mod imported {
    mod raw {
        #[link(wasm_import_module = "nexus")]
        extern "C" {
            pub fn log(level: i32, text: *const u8, text_len: usize, fields: *const u8, fields_len: usize) -> i32;
            pub fn publish(
                event_type: *const u8,
                event_type_len: usize,
                content_type: *const u8,
                content_type_len: usize,
                data: *const u8,
                data_len: usize,
            ) -> i32;
            pub fn respond(status: i32, headers: *const u8, headers_len: usize) -> i32;
            pub fn kv_get(key: *const u8, key_len: usize, buffer: *mut u8, buffer_size: usize, len_out: *mut usize) -> i32;
            pub fn kv_set(key: *const u8, key_len: usize, value: *const u8, value_len: usize) -> i32;
            pub fn kv_delete(key: *const u8, key_len: usize) -> i32;
            pub fn now() -> i64;
            pub fn random(bytes: *mut u8, len: usize) -> i32;
        }
    }

    // Each hands over addresses and lengths of what it borrows; the host keeps none of them.
    pub fn log(level: i32, text: &str, fields: &str) -> i32 {
        unsafe { raw::log(level, text.as_ptr(), text.len(), fields.as_ptr(), fields.len()) }
    }
    pub fn publish(event_type: &str, content_type: &str, data: &[u8]) -> i32 {
        unsafe {
            raw::publish(
                event_type.as_ptr(),
                event_type.len(),
                content_type.as_ptr(),
                content_type.len(),
                data.as_ptr(),
                data.len(),
            )
        }
    }
    pub fn respond(status: i32, headers: &str) -> i32 {
        unsafe { raw::respond(status, headers.as_ptr(), headers.len()) }
    }
    pub fn kv_get(key: &str, buffer: &mut [u8], len_out: &mut usize) -> i32 {
        unsafe { raw::kv_get(key.as_ptr(), key.len(), buffer.as_mut_ptr(), buffer.len(), len_out) }
    }
    pub fn kv_set(key: &str, value: &[u8]) -> i32 {
        unsafe { raw::kv_set(key.as_ptr(), key.len(), value.as_ptr(), value.len()) }
    }
    pub fn kv_delete(key: &str) -> i32 {
        unsafe { raw::kv_delete(key.as_ptr(), key.len()) }
    }
    pub fn now() -> i64 {
        unsafe { raw::now() }
    }
    pub fn random(bytes: &mut [u8]) -> i32 {
        unsafe { raw::random(bytes.as_mut_ptr(), bytes.len()) }
    }
}

#[cfg(target_arch = "wasm32")]
pub use imported::*;
#[cfg(not(target_arch = "wasm32"))]
pub use crate::testing::host::*;
