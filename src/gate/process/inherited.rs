//! Listening sockets that the process has from its start: those of a service manager (sd_listen_fds(3)), or those of the
//! gate that it replaces.

use std::fs::File;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{OwnedFd, RawFd};
use std::path::Path;

use serde::{Deserialize, Serialize};
use socket2::{SockAddr, Socket};

use crate::config::plan::{Bind, InternalBind};
use crate::worker::inherited_file;

/// The variable with which a gate passes its sockets on: [`PassedOn`] as JSON.
pub(in crate::gate) const PASSED_ON: &str = "SMOLGATE_SOCKETS";

/// The variables of a service manager: the process that they are for, the number of sockets, and their names.
pub(in crate::gate) const OF_MANAGER: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// The number of the first socket of a service manager.
const FIRST_OF_MANAGER: RawFd = 3;

/// The open files that a gate passes on, by their numbers.
#[derive(Serialize, Deserialize)]
pub(in crate::gate) struct PassedOn {
    /// A pipe that is written to when the new gate has started.
    pub(in crate::gate) started: RawFd,
    /// Each with the name of its listener if that is on any free port.
    pub(in crate::gate) sockets: Vec<(RawFd, Option<String>)>,
}

/// Listening sockets that are not in use yet.
#[derive(Default)]
pub struct Inherited {
    sockets: Vec<Given>,
    /// Tells the gate that this one replaces that it has started.
    started: Option<File>,
}

struct Given {
    /// The name of its listener, or the one that the service manager has for it: `FileDescriptorName` of its unit.
    name: Option<String>,
    socket: Socket,
    address: SockAddr,
}

impl Inherited {
    /// The sockets that the environment names. It is called once, before other files are opened.
    ///
    /// # Errors
    /// The environment names a file that is not open, or that is no socket that listens.
    pub fn from_environment() -> io::Result<Self> {
        let variable = |name: &str| std::env::var(name).ok();
        if let Some(passed_on) = variable(PASSED_ON) {
            return Self::of_gate(serde_json::from_str(&passed_on)?);
        }
        let [process, count, names] = OF_MANAGER.map(variable);
        let is_ours = process.is_some_and(|process| process == std::process::id().to_string());
        match count.filter(|_| is_ours) {
            Some(count) => Self::of_manager(&count, names.as_deref().unwrap_or_default()),
            None => Ok(Self::default()),
        }
    }

    fn of_gate(PassedOn { started, sockets }: PassedOn) -> io::Result<Self> {
        let started = Some(inherited_file(started)?.into());
        let given = |(number, name)| Given::new(inherited_file(number)?, name);
        Ok(Self { sockets: sockets.into_iter().map(given).collect::<io::Result<_>>()?, started })
    }

    fn of_manager(count: &str, names: &str) -> io::Result<Self> {
        let wrong = |_| io::Error::other(format!("LISTEN_FDS is {count:?}, which is no number"));
        let count: RawFd = count.parse().map_err(wrong)?;
        let mut names = names.split(':').filter(|name| !name.is_empty());
        let given = |number| Given::new(inherited_file(number)?, names.next().map(str::to_owned));
        let sockets =
            (FIRST_OF_MANAGER..).take(count.max(0) as usize).map(given).collect::<io::Result<_>>()?;
        Ok(Self { sockets, started: None })
    }

    /// The sockets for an address of a listener, one per worker: those that listen there, or else those with the name of
    /// the listener. Workers without a socket of their own share one. `None` if there are none.
    pub(in crate::gate) fn of_listener(
        &mut self,
        name: &str,
        bind: Bind,
        workers: usize,
    ) -> Option<io::Result<(SocketAddr, Vec<TcpListener>)>> {
        let is_there = |given: &Given| given.address.as_socket().is_some_and(|at| listens_at(bind, at));
        let is_named =
            |given: &Given| given.name.as_deref() == Some(name) && given.address.as_socket().is_some();
        let mut own = self.take(is_there);
        if own.is_empty() {
            own = self.take(is_named);
        }
        let address = own.first()?.address.as_socket()?;
        if own.len() > workers {
            tracing::warn!(
                "{address} had more workers before: connections in the queues of {} of them are lost",
                own.len() - workers
            );
        }
        Some(own_per_worker(&own, workers).map(|sockets| (address, sockets)))
    }

    /// The socket for the internal API.
    pub(in crate::gate) fn of_internal_api(&mut self, bind: &InternalBind) -> Option<Socket> {
        let is_there = |given: &Given| match bind {
            InternalBind::Tcp(bind) => given.address.as_socket().is_some_and(|at| listens_at(*bind, at)),
            InternalBind::Unix(path) => given.address.as_pathname() == Some(Path::new(path)),
        };
        self.take(is_there).into_iter().next().map(|given| given.socket)
    }

    /// Closes the sockets that no listener has.
    pub(in crate::gate) fn close_unused(&mut self) {
        for Given { name, address, .. } in self.sockets.drain(..) {
            let name = name.map(|name| format!(" `{name}`")).unwrap_or_default();
            let address =
                address.as_socket().map_or("a Unix socket".to_owned(), |address| address.to_string());
            tracing::warn!("no listener has the inherited socket{name} ({address}); it is closed");
        }
    }

    /// Tells the gate that this one replaces that all listeners accept.
    pub(in crate::gate) fn started(self) {
        // A gate that has gone in the meantime need not know.
        self.started.into_iter().for_each(|mut pipe| _ = pipe.write_all(b"1"));
    }

    fn take(&mut self, is_wanted: impl Fn(&Given) -> bool) -> Vec<Given> {
        let (taken, left) = self.sockets.drain(..).partition(is_wanted);
        self.sockets = left;
        taken
    }
}

impl Given {
    fn new(file: OwnedFd, name: Option<String>) -> io::Result<Self> {
        let socket = Socket::from(file);
        if !socket.is_listener()? {
            return Err(io::Error::other("an inherited socket does not listen"));
        }
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        if address.as_socket().is_some() {
            socket.set_tcp_nodelay(true)?;
        }
        Ok(Self { name, socket, address })
    }
}

fn own_per_worker(given: &[Given], workers: usize) -> io::Result<Vec<TcpListener>> {
    let sockets = given.iter().cycle().take(workers);
    sockets.map(|given| given.socket.try_clone().map(TcpListener::from)).collect()
}

/// Whether a socket of this address is the one that `bind` asks for.
fn listens_at(bind: Bind, address: SocketAddr) -> bool {
    match bind {
        Bind::Any(port) => address.port() == port && address.ip().is_unspecified(),
        Bind::Address(bind) => bind == address,
    }
}
