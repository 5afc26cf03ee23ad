//! The gate as the internal API sees it.

use std::sync::{Arc, Weak};
use std::time::SystemTime;

use super::running::Shared;
use crate::config::{self, plan::Plan};
use crate::internal::operator::{Asking, Reloading};
use crate::internal::{Operator, Phase};
use crate::log::Counters;

/// Weak, because the gate holds the internal API, which holds this.
pub(super) struct Operating(pub(super) Weak<Shared>);

impl Operator for Operating {
    fn reload(&self, restart: bool) -> Reloading<'_> {
        Box::pin(async move {
            let shared = self.0.upgrade().ok_or("the gate is stopping")?;
            shared.reload(restart).await.map_err(|error| error.to_string())
        })
    }

    fn plan(&self) -> Arc<Plan> {
        let generation = self.0.upgrade().and_then(|shared| shared.current());
        generation.map_or_else(|| Arc::new(Plan::empty()), |generation| generation.plan.clone())
    }

    fn counters(&self) -> Arc<Counters> {
        self.0.upgrade().map_or_else(Counters::new, |shared| shared.counters.clone())
    }

    fn phase(&self) -> Asking<'_> {
        Box::pin(async move {
            let Some(shared) = self.0.upgrade() else { return Phase::Draining };
            shared.phase().await
        })
    }

    fn generation(&self) -> u64 {
        let generation = self.0.upgrade().and_then(|shared| shared.current());
        generation.map_or(0, |generation| generation.number)
    }

    fn started(&self) -> SystemTime {
        self.0.upgrade().map_or_else(SystemTime::now, |shared| shared.started)
    }

    fn view(&self) -> String {
        config::view(&self.plan())
    }
}
