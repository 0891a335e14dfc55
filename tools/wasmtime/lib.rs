//! Wasmtime's C API, and what it lacks.
pub use wasmtime_c_api::*;

/// src/sandbox/engine/wasm.h says what it does.
///
/// # Safety
/// `pool` is one of wasmtime_pooling_allocation_config_new().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nx_wasmtime_pool_finds_written(pool: *mut wasmtime_pooling_allocation_config_t) -> bool {
    const _: () = assert!(
        size_of::<wasmtime_pooling_allocation_config_t>() == size_of::<wasmtime::PoolingAllocationConfig>()
    );
    let is_available = wasmtime::PoolingAllocationConfig::is_pagemap_scan_available();
    if is_available {
        // SAFETY: the C API's type is #[repr(C)] and has this one field.
        let pool = unsafe { &mut *pool.cast::<wasmtime::PoolingAllocationConfig>() };
        pool.pagemap_scan(wasmtime::Enabled::Yes);
    }
    is_available
}
