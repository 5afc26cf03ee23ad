//! Listening sockets: which ones a plan needs, and binding those that are not open yet.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use super::error::GateError;
use super::process::Inherited;
use crate::config::plan::{Bind, Plan};
use crate::worker;

/// The identity of a listening socket over reloads. A renamed listener keeps its sockets. Sockets on "any free
/// port" are told apart by the name of their listener.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ListenKey {
    bind: Bind,
    pub(super) name: Option<Arc<str>>,
}

/// The listening sockets of a plan, each with the index of its listener.
pub(super) fn listen_keys(plan: &Plan) -> Vec<(ListenKey, usize)> {
    let listen_keys = plan.listeners.iter().enumerate().flat_map(|(index, listener)| {
        listener.binds.iter().map(move |bind| {
            let name = (bind.port() == 0).then(|| listener.name.clone());
            (ListenKey { bind: *bind, name }, index)
        })
    });
    listen_keys.collect()
}

/// New listening sockets: for each key its address, and one socket per worker.
pub(super) type NewSockets = HashMap<ListenKey, (SocketAddr, Vec<TcpListener>)>;

/// Binds the sockets of `plan` that are not open yet, one per worker, or takes inherited ones. With `anew` it binds all
/// of them.
///
/// `ours` are the open ones. They stay open: the system shares the address among them, and gives a connection to
/// the socket with the narrower address.
pub(super) fn bind(
    plan: &Plan,
    ours: &HashMap<ListenKey, SocketAddr>,
    anew: bool,
    inherited: &mut Inherited,
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
            let place =
                "`port` or `bind`, or for labels SMOLGATE_HTTP_PORT and SMOLGATE_HTTPS_PORT, says where";
            format!(
                "listener `{}` ({}) cannot listen on {} ({place})",
                listener.name, listener.origin, listen_key.bind
            )
        };
        // For port 0, bind the port that the system chose before.
        let bind = open.map_or(listen_key.bind, |address| on_port(listen_key.bind, *address));
        if let Some(given) = inherited.of_listener(&listener.name, bind, workers) {
            let given = given.map_err(|error| GateError::of_port(what(), error))?;
            sockets.insert(listen_key, given);
            continue;
        }
        // If we listen already on a wider or a narrower address, no other program can have bound this one.
        let is_ours = ours.values().any(|address| bind.overlaps(Bind::Address(*address)));
        let bound = bind_one(bind, is_ours, workers).map_err(|error| GateError::of_port(what(), error))?;
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

/// `bind` with the port that the system chose.
fn on_port(bind: Bind, given: SocketAddr) -> Bind {
    match bind {
        Bind::Any(_) => Bind::Any(given.port()),
        Bind::Address(_) => Bind::Address(given),
    }
}
