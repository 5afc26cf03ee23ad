//! Listening sockets: which doors a plan wants, and binding those that are not open yet.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use super::GateError;
use crate::config::plan::{Bind, Plan};
use crate::worker;

/// What makes two doors the same. A listener that was renamed keeps its doors; doors on "any free
/// port" are told apart by the name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct DoorKey {
    bind: Bind,
    name: Option<Arc<str>>,
}

/// The doors of a plan, each with the index of its listener.
pub(super) fn doors(plan: &Plan) -> Vec<(DoorKey, usize)> {
    let doors = plan.listeners.iter().enumerate().flat_map(|(index, listener)| {
        listener.binds.iter().map(move |bind| {
            let name = (bind.port() == 0).then(|| listener.name.clone());
            (DoorKey { bind: *bind, name }, index)
        })
    });
    doors.collect()
}

/// Sockets for the doors that are not open yet: one a worker for each.
pub(super) type NewSockets = HashMap<DoorKey, (SocketAddr, Vec<TcpListener>)>;

/// Binds every door of `plan` that is not in `open`, `workers` times.
pub(super) fn bind(
    plan: &Plan,
    open: &HashMap<DoorKey, SocketAddr>,
    workers: usize,
) -> Result<NewSockets, GateError> {
    let mut sockets = NewSockets::new();
    for (door, index) in doors(plan) {
        if open.contains_key(&door) || sockets.contains_key(&door) {
            continue;
        }
        let listener = &plan.listeners[index];
        let what =
            || format!("listener `{}` ({}) cannot listen on {}", listener.name, listener.origin, door.bind);
        let bound = bind_one(door.bind, workers).map_err(|error| GateError::System(what(), error))?;
        sockets.insert(door, bound);
    }
    Ok(sockets)
}

fn bind_one(bind: Bind, workers: usize) -> std::io::Result<(SocketAddr, Vec<TcpListener>)> {
    if bind.port() != 0 {
        worker::is_free(bind)?;
    }
    let first = worker::listen(bind)?;
    let address = first.local_addr()?;
    // The others share the port that the first one was given.
    let same = match bind {
        Bind::Any(_) => Bind::Any(address.port()),
        Bind::Address(_) => Bind::Address(address),
    };
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(worker::listen(same)?);
    }
    Ok((address, sockets))
}
