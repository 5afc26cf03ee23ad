//! The C library's allocator, where that is glibc's: it returns memory to the system only from the end of its heaps.

/// Returns to the system what the allocator holds and nobody uses, of the heaps of all threads.
#[expect(unsafe_code, reason = "no crate wraps the call")]
pub(crate) fn return_memory() {
    // SAFETY: it takes no pointer, and the allocator locks its heaps as for any other call.
    unsafe { libc::malloc_trim(0) };
}
