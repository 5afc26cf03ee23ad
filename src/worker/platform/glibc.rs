//! The allocator of glibc, which by itself returns memory only from the end of its heaps.

/// Returns the allocator's free memory to the system, from the heaps of all threads.
#[expect(unsafe_code, reason = "no crate wraps the call")]
pub(crate) fn return_memory() {
    // SAFETY: it takes no pointer, and the allocator locks its heaps as for any other call.
    unsafe { libc::malloc_trim(0) };
}
