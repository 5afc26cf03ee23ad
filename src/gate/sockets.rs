//! Listening sockets: which doors a plan wants, and binding those that are not open yet.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use super::error::GateError;
use crate::config::plan::{Bind, Plan};
use crate::worker;

/// What makes two doors the same. A listener that was renamed keeps its doors; doors on "any free
/// port" are told apart by the name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ListenKey {
    bind: Bind,
    name: Option<Arc<str>>,
}

/// The doors of a plan, each with the index of its listener.
pub(super) fn listen_keys(plan: &Plan) -> Vec<(ListenKey, usize)> {
    let listen_keys = plan.listeners.iter().enumerate().flat_map(|(index, listener)| {
        listener.binds.iter().map(move |bind| {
            let name = (bind.port() == 0).then(|| listener.name.clone());
            (ListenKey { bind: *bind, name }, index)
        })
    });
    listen_keys.collect()
}

/// Sockets for the doors that are not open yet: one a worker for each.
pub(super) type NewSockets = HashMap<ListenKey, (SocketAddr, Vec<TcpListener>)>;

/// Binds doors of `plan`, `workers` times each: those that are not among `ours`, which are open, or with
/// `anew` all of them. What is open stays open: the system shares the address, and gives a connection to
/// the socket with the narrower one.
pub(super) fn bind(
    plan: &Plan,
    ours: &HashMap<ListenKey, SocketAddr>,
    anew: bool,
    workers: usize,
) -> Result<NewSockets, GateError> {
    let mut sockets = NewSockets::new();
    for (listen_key, index) in listen_keys(plan) {
        let open = ours.get(&listen_key);
        if (open.is_some() && !anew) || sockets.contains_key(&listen_key) {
            continue;
        }
        let listener = &plan.listeners[index];
        let what = || {
            format!("listener `{}` ({}) cannot listen on {}", listener.name, listener.origin, listen_key.bind)
        };
        // Behind port 0 stands the port that the system gave.
        let bind = open.map_or(listen_key.bind, |address| on_port(listen_key.bind, *address));
        // Where we listen already, on a wider address or a narrower one, nobody else could have begun to.
        let is_ours = ours.values().any(|address| bind.overlaps(Bind::Address(*address)));
        let bound = bind_one(bind, is_ours, workers).map_err(|error| GateError::System(what(), error))?;
        sockets.insert(listen_key, bound);
    }
    Ok(sockets)
}

fn bind_one(bind: Bind, is_ours: bool, workers: usize) -> std::io::Result<(SocketAddr, Vec<TcpListener>)> {
    if bind.port() != 0 && !is_ours {
        worker::is_free(bind)?;
    }
    let first = worker::listen(bind)?;
    let address = first.local_addr()?;
    let same = on_port(bind, address);
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(worker::listen(same)?);
    }
    Ok((address, sockets))
}

/// The same with the port that the system gave.
fn on_port(bind: Bind, given: SocketAddr) -> Bind {
    match bind {
        Bind::Any(_) => Bind::Any(given.port()),
        Bind::Address(_) => Bind::Address(given),
    }
}
