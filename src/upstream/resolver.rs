//! How names are asked for: by the resolver of the system, on threads that do nothing else.
//!
//! `getaddrinfo` blocks for as long as it likes, half a minute where no server answers. So its threads are not
//! those on which files are read: a resolver that hangs stops no reload, and a file system that hangs no name.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Names that are asked for at the same time; further ones wait for their turn.
const THREADS_MAX: usize = 16;

/// How long a thread without a question stays.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// Finds the addresses of a name.
pub trait Resolver: Send + Sync + 'static {
    /// Blocks, for as long as it likes. The addresses in the order in which to try them; any number of them, and
    /// any number of times.
    ///
    /// # Errors
    /// See [`Unresolved`].
    fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, Unresolved>;
}

/// Why a name has no addresses.
#[derive(Debug)]
pub enum Unresolved {
    /// It does not exist, or has no address: that is an answer.
    NoAddress(io::Error),
    /// There was no answer. It may well have addresses.
    Temporary(io::Error),
}

impl Unresolved {
    /// What the resolver said.
    pub fn error(&self) -> &io::Error {
        match self {
            Self::NoAddress(error) | Self::Temporary(error) => error,
        }
    }
}

/// The resolver of the system: `getaddrinfo`, and so `/etc/hosts`, `/etc/resolv.conf` and what else it reads.
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

/// What `gai_strerror` says of `EAI_NONAME` and `EAI_NODATA`, in glibc, musl, the BSDs and macOS: std passes on the
/// words and not the code. They are in English, since nothing here calls `setlocale`.
const ANSWERS: [&str; 5] = [
    "Name or service not known",
    "No address associated with hostname",
    "Name does not resolve",
    "Name has no usable address",
    "nor servname provided, or not known",
];

/// Whether the name is known to have no address. Words that nobody knows are no answer: then addresses are kept.
fn is_an_answer(error: &io::Error) -> bool {
    let said = error.to_string();
    ANSWERS.iter().any(|answer| said.ends_with(answer))
}

/// What is done with the answer to a question.
type Told = Box<dyn FnOnce(Result<Vec<IpAddr>, Unresolved>) + Send>;

/// Threads that put questions to a resolver: as many as there are questions, up to a limit.
pub(super) struct Resolvers {
    resolver: Box<dyn Resolver>,
    queue: Mutex<Queue>,
    asked: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Arc<str>, Told)>,
    threads: usize,
    /// Threads that wait for a question.
    idle: usize,
}

impl Resolvers {
    pub(super) fn new(resolver: impl Resolver) -> Arc<Self> {
        Arc::new(Self { resolver: Box::new(resolver), queue: Mutex::default(), asked: Condvar::new() })
    }

    /// Asks for a name, and hands the answer to `told` on another thread. Does not block.
    pub(super) fn start_query(
        self: &Arc<Self>,
        host: Arc<str>,
        told: impl FnOnce(Result<Vec<IpAddr>, Unresolved>) + Send + 'static,
    ) {
        let mut queue = self.queue();
        queue.waiting.push_back((host, Box::new(told)));
        if queue.waiting.len() <= queue.idle {
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

    /// The threads that there are come to the question later; without any it is answered.
    fn do_without_a_thread(&self, error: &io::Error) {
        let mut queue = self.queue();
        queue.threads -= 1;
        if queue.threads > 0 {
            return;
        }
        let waiting = std::mem::take(&mut queue.waiting);
        drop(queue);
        for (_, told) in waiting {
            told(Err(Unresolved::Temporary(io::Error::new(error.kind(), "no thread for the resolver"))));
        }
    }

    fn serve(&self) {
        let mut queue = self.queue();
        loop {
            while let Some((host, told)) = queue.waiting.pop_front() {
                drop(queue);
                told(self.resolver.resolve(&host));
                queue = self.queue();
            }
            queue.idle += 1;
            let (asked, slept) =
                self.asked.wait_timeout(queue, IDLE_TIME).unwrap_or_else(PoisonError::into_inner);
            queue = asked;
            queue.idle -= 1;
            if slept.timed_out() && queue.waiting.is_empty() {
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

    /// Answers no question before all threads have one.
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
    fn many_names_are_asked_for_at_once_on_a_bounded_number_of_threads() {
        let slow = Arc::new(Slow { querying: Mutex::default(), full: Condvar::new() });
        let resolvers = Resolvers::new(slow.clone());
        let (sender, answers) = mpsc::channel();
        const NAMES: usize = 20 * THREADS_MAX;
        for number in 0..NAMES {
            let sender = sender.clone();
            resolvers.start_query(format!("{number}.test").into(), move |found| {
                sender.send(found.is_err()).unwrap()
            });
            assert!(resolvers.queue().threads <= THREADS_MAX);
        }
        for _ in 0..NAMES {
            assert_eq!(answers.recv_timeout(Duration::from_secs(20)), Ok(true));
        }
        assert_eq!(slow.querying.lock().unwrap().len(), NAMES, "each was asked for");
    }

    #[test]
    fn that_a_name_does_not_exist_is_told_apart_from_a_resolver_that_fails() {
        let said = |words: &str| io::Error::other(format!("failed to lookup address information: {words}"));
        assert!(is_an_answer(&said("Name or service not known")));
        assert!(is_an_answer(&said("Name does not resolve")));
        assert!(!is_an_answer(&said("Temporary failure in name resolution")));
        assert!(!is_an_answer(&said("Try again")));
    }
}
