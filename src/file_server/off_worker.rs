//! Work that may wait for a disk, on a thread that may wait.

use smol::lock::Semaphore;

/// Calls that may wait at the same time, in the whole process. The pool of threads is that of the control plane too,
/// which must find a thread in it although a disk hangs.
const WAITING_MAX: usize = 64;

static WAITING: Semaphore = Semaphore::new(WAITING_MAX);

/// Runs `work` on a thread for blocking work.
pub async fn off_worker<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    // A caller that is dropped leaves its call behind, which keeps the permit.
    let permit = WAITING.acquire().await;
    smol::unblock(move || {
        let _permit = permit;
        work()
    })
    .await
}
