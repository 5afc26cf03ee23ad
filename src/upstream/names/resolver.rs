//! Name resolution by the system's resolver, on threads of its own.
//!
//! `getaddrinfo` has no deadline: without a server that answers it blocks for half a minute. So it has
//! threads apart from those that read files: a slow resolver delays no reload, a slow file system no name.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Names that are resolved at the same time; further ones wait in the queue.
const THREADS_MAX: usize = 16;

/// Names among them whose last query got no answer. The next one may hang too, and must not delay all others.
const SILENT_MAX: usize = THREADS_MAX / 2;

/// The time after which a thread without a query ends.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// Finds the addresses of a name.
pub trait Resolver: Send + Sync + 'static {
    /// Finds the addresses of a name, in the order in which to try them. It may block for any time, and
    /// return any number of addresses, with duplicates.
    ///
    /// # Errors
    /// See [`Unresolved`].
    fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, Unresolved>;
}

/// The reason why a name has no addresses.
#[derive(Debug)]
pub enum Unresolved {
    /// The name does not exist or has no address. This is a definite answer.
    NoAddress(io::Error),
    /// No answer came. The name may have addresses.
    Temporary(io::Error),
}

impl Unresolved {
    /// The resolver's error.
    pub fn error(&self) -> &io::Error {
        match self {
            Self::NoAddress(error) | Self::Temporary(error) => error,
        }
    }
}

/// The system's resolver, `getaddrinfo`. It reads `/etc/hosts`, `/etc/resolv.conf` and other files.
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, Unresolved> {
        match (host, 0).to_socket_addrs() {
            Ok(found) => Ok(found.map(|address: SocketAddr| address.ip()).collect()),
            Err(error) if is_an_answer(&error) => Err(Unresolved::NoAddress(error)),
            Err(error) => Err(Unresolved::Temporary(error)),
        }
    }
}

/// The texts of `gai_strerror` for `EAI_NONAME` and `EAI_NODATA`, in glibc, musl, the BSDs and macOS. std
/// passes on the text and not the code. The texts are in English, because nothing here calls `setlocale`.
const ANSWERS: [&str; 5] = [
    "Name or service not known",
    "No address associated with hostname",
    "Name does not resolve",
    "Name has no usable address",
    "nor servname provided, or not known",
];

/// Whether the name definitely has no address. After an unknown text the addresses are kept.
fn is_an_answer(error: &io::Error) -> bool {
    let said = error.to_string();
    ANSWERS.iter().any(|answer| said.ends_with(answer))
}

/// The callback that receives the result of a query.
type Told = Box<dyn FnOnce(Result<Vec<IpAddr>, Unresolved>) + Send>;

/// A name to query.
struct Query {
    host: Arc<str>,
    /// Whether the last query of this name got no answer.
    is_silent: bool,
    told: Told,
}

/// Threads that query a resolver: one per query, up to a limit.
pub(super) struct Resolvers {
    resolver: Box<dyn Resolver>,
    queue: Mutex<Queue>,
    asked: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Query>,
    /// The queries that wait for one of [`SILENT_MAX`] places.
    silent: VecDeque<Query>,
    /// The places that are taken.
    silent_running: usize,
    threads: usize,
    /// Threads that wait for a query.
    idle: usize,
}

impl Queue {
    /// The number of waiting queries that may begin.
    fn ready(&self) -> usize {
        self.waiting.len() + self.silent.len().min(SILENT_MAX - self.silent_running)
    }

    fn push(&mut self, query: Query) {
        let queue = if query.is_silent { &mut self.silent } else { &mut self.waiting };
        queue.push_back(query);
    }

    /// Takes the next query that may begin.
    fn begin(&mut self) -> Option<Query> {
        if self.silent_running < SILENT_MAX
            && let Some(query) = self.silent.pop_front()
        {
            self.silent_running += 1;
            return Some(query);
        }
        self.waiting.pop_front()
    }

    fn end(&mut self, was_silent: bool) {
        self.silent_running -= usize::from(was_silent);
    }
}

impl Resolvers {
    pub(super) fn new(resolver: impl Resolver) -> Arc<Self> {
        Arc::new(Self { resolver: Box::new(resolver), queue: Mutex::default(), asked: Condvar::new() })
    }

    /// Queries a name and passes the result to `told` on another thread. Does not block. `is_silent` says that the
    /// last query of this name got no answer.
    pub(super) fn start_query(
        self: &Arc<Self>,
        host: Arc<str>,
        is_silent: bool,
        told: impl FnOnce(Result<Vec<IpAddr>, Unresolved>) + Send + 'static,
    ) {
        let mut queue = self.queue();
        queue.push(Query { host, is_silent, told: Box::new(told) });
        if queue.ready() <= queue.idle {
            return self.asked.notify_one();
        }
        if queue.threads == THREADS_MAX {
            return;
        }
        queue.threads += 1;
        drop(queue);
        let threads = self.clone();
        let started = thread::Builder::new().name("resolver".into()).spawn(move || threads.serve());
        if let Err(error) = started {
            self.do_without_a_thread(&error);
        }
    }

    /// Handles a thread that could not start. Without any running thread, all waiting queries fail.
    fn do_without_a_thread(&self, error: &io::Error) {
        let mut queue = self.queue();
        queue.threads -= 1;
        if queue.threads > 0 {
            return;
        }
        let [waiting, silent] = [std::mem::take(&mut queue.waiting), std::mem::take(&mut queue.silent)];
        drop(queue);
        for Query { told, .. } in waiting.into_iter().chain(silent) {
            told(Err(Unresolved::Temporary(io::Error::new(error.kind(), "no thread for the resolver"))));
        }
    }

    fn serve(&self) {
        let mut queue = self.queue();
        loop {
            while let Some(Query { host, is_silent, told }) = queue.begin() {
                drop(queue);
                told(self.resolver.resolve(&host));
                queue = self.queue();
                queue.end(is_silent);
            }
            queue.idle += 1;
            let (asked, slept) =
                self.asked.wait_timeout(queue, IDLE_TIME).unwrap_or_else(PoisonError::into_inner);
            queue = asked;
            queue.idle -= 1;
            if slept.timed_out() && queue.ready() == 0 {
                queue.threads -= 1;
                return;
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::mpsc;

    use super::*;

    /// A resolver that answers no query before every thread has one.
    struct Slow {
        querying: Mutex<HashSet<String>>,
        full: Condvar,
    }

    impl Resolver for Arc<Slow> {
        fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, Unresolved> {
            assert_eq!(thread::current().name(), Some("resolver"));
            let mut querying = self.querying.lock().unwrap();
            querying.insert(host.into());
            self.full.notify_all();
            let full = |querying: &mut HashSet<String>| querying.len() < THREADS_MAX;
            drop(self.full.wait_timeout_while(querying, Duration::from_secs(20), full).unwrap());
            Err(Unresolved::NoAddress(io::ErrorKind::NotFound.into()))
        }
    }

    #[test]
    fn many_names_are_resolved_at_once_on_a_bounded_number_of_threads() {
        let slow = Arc::new(Slow { querying: Mutex::default(), full: Condvar::new() });
        let resolvers = Resolvers::new(slow.clone());
        let (sender, answers) = mpsc::channel();
        const NAMES: usize = 20 * THREADS_MAX;
        for number in 0..NAMES {
            let sender = sender.clone();
            resolvers.start_query(format!("{number}.test").into(), false, move |found| {
                sender.send(found.is_err()).unwrap()
            });
            assert!(resolvers.queue().threads <= THREADS_MAX);
        }
        for _ in 0..NAMES {
            assert_eq!(answers.recv_timeout(Duration::from_secs(20)), Ok(true));
        }
        assert_eq!(slow.querying.lock().unwrap().len(), NAMES, "every name was queried");
    }

    #[test]
    fn a_missing_name_is_distinguished_from_a_failing_resolver() {
        let said = |words: &str| io::Error::other(format!("failed to lookup address information: {words}"));
        assert!(is_an_answer(&said("Name or service not known")));
        assert!(is_an_answer(&said("Name does not resolve")));
        assert!(!is_an_answer(&said("Temporary failure in name resolution")));
        assert!(!is_an_answer(&said("Try again")));
    }
}
