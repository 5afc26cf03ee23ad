//! Names of targets and their addresses. The whole process shares them.

mod name_cache;

mod resolver;

pub use name_cache::{NameCache, ResolvedName};
pub use resolver::{Resolver, SystemResolver, Unresolved};

pub(super) use name_cache::NameObserver;
