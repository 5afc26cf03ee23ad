//! Wishes of operators at a gate that does not order: the store hands them to the one that does.

use std::collections::HashMap;
use std::sync::Arc;

use crate::acme::context::Context;
use crate::acme::shared::Ask;
use crate::store::wish_file;

/// The records in a list that belong to names of this gate, each with its mark.
pub(super) type Listed = HashMap<Arc<str>, String>;

/// Leaves a wish in the store.
pub(in crate::acme) async fn hand_on(context: &Context, name: &Arc<str>, wish: Ask) {
    let (store, of_name) = (context.store.clone(), name.clone());
    let left = smol::unblock(move || store.leave_wish(&of_name, wish.word().as_bytes())).await;
    match left {
        Ok(()) => tracing::info!(%name, "the gate that orders is asked to {} the certificate", wish.word()),
        Err(error) => tracing::warn!(%name, "the gate that orders cannot be asked: {error}"),
    }
}

/// Carries out the wishes that are left, if this gate orders, or if no gate does. A wish is removed first, so that it
/// is carried out once.
pub(super) async fn take(context: &Context, mut left: Listed, seen: &mut HashMap<Arc<str>, String>) {
    left.retain(|name, mark| seen.get(name) != Some(mark));
    if left.is_empty() {
        return;
    }
    // The right to order is free if the gate is gone that had it.
    let Ok(opened) = context.folder().await else { return };
    for (name, mark) in left {
        let file = wish_file(&name);
        let taken = opened.blocking(move |opened| {
            let (store, lock) = opened.store();
            let wish = store.read(&file)?;
            if wish.is_some() {
                store.remove(lock, &file)?;
            }
            Ok(wish)
        });
        match taken.await {
            Ok(None) => drop(seen.insert(name, mark)),
            Ok(Some(wish)) => {
                if let Some(wish) = Ask::read(&wish) {
                    tracing::info!(%name, "another gate was asked to {} the certificate", wish.word());
                    context.shared.ask(&name, wish);
                }
            }
            Err(failure) => tracing::debug!(%name, "a wish of another gate waits: {}", failure.reason),
        }
    }
}
