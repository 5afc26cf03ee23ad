//! The table of policies.

use std::fmt;
use std::sync::Arc;

use super::auth::Auth;
use super::compress::Compress;
use super::cors::Cors;
use super::mirror::Mirror;
use super::pages::{Intercept, Pages};
use super::rate_limit::RateLimits;
use super::request_limit::RequestLimit;
use super::speed::{Speed, SpeedGroup};
use crate::config::plan::plugins::PluginChain;

/// A mapping that is being read, which may have the policy `T`.
pub(crate) trait ReadPolicy<T> {
    /// The policy under a key. The inner `None` stands for `false`. The outer one stands for a key that is missing, or
    /// wrong, and then it was reported.
    fn policy(&mut self, name: &'static str) -> Option<Option<Arc<T>>>;
}

/// Builds the policies from one table. A row is one line about the policy, its key and the type of its value. `Display` of
/// the type writes the value in YAML.
macro_rules! policies {
    ($($(#[doc = $about:literal])* $key:ident: $type:ty;)*) => {
        /// The policies of a rule, in the order in which they act.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
        pub struct Policies {
            $($(#[doc = $about])* pub $key: Option<Arc<$type>>,)*
        }

        impl Policies {
            /// The keys, in the order in which the policies act.
            pub const KEYS: &[&'static str] = &[$(stringify!($key),)*];

            /// The keys of those that act on responses.
            pub const OF_RESPONSES: &[&'static str] = &["intercept", "compress", "pages"];

            /// Each policy that there is: its key, and its value in YAML.
            pub fn lines(&self) -> Vec<(&'static str, String)> {
                let Policies { $($key,)* } = self;
                let lines = [$($key.as_ref().map(|value| (stringify!($key), value.to_string())),)*];
                lines.into_iter().flatten().collect()
            }
        }

        /// The policies that were written in one place. The inner `None` stands for `false`.
        #[derive(Clone, Debug, Default)]
        pub(crate) struct PoliciesWritten {
            $(pub(crate) $key: Option<Option<Arc<$type>>>,)*
        }

        impl PoliciesWritten {
            /// Reads every key.
            pub(crate) fn read(from: &mut (impl $(ReadPolicy<$type> +)* Sized)) -> Self {
                Self { $($key: ReadPolicy::<$type>::policy(from, stringify!($key)),)* }
            }

            /// These policies, and those of `below` that are not written here.
            pub(crate) fn over(&self, below: &Self) -> Self {
                Self { $($key: self.$key.clone().or_else(|| below.$key.clone()),)* }
            }

            /// The policies that act. `None` if there are none.
            pub(crate) fn settle(self) -> Option<Arc<Policies>> {
                let policies = Policies { $($key: self.$key.flatten(),)* };
                (policies != Policies::default()).then(|| Arc::new(policies))
            }
        }
    };
}

policies! {
    /// Which pages of other origins may read responses.
    cors: Cors;
    /// How many requests one client may send in a time.
    rate_limit: RateLimits;
    /// Which users may send requests.
    auth: Auth;
    /// Which plugins are asked about requests.
    plugins: PluginChain;
    /// How many requests are open at once.
    max_requests: RequestLimit;
    /// Another upstream that gets copies of requests.
    mirror: Mirror;
    /// How fast bodies and tunnels move.
    speed: Speed;
    /// Which answers of targets pages stand in for.
    intercept: Intercept;
    /// Which responses are compressed.
    compress: Compress;
    /// The pages for answers of the gate.
    pages: Pages;
}

impl PoliciesWritten {
    /// These policies, written in the place with this name. Connections that share a speed of it share no other one.
    pub(crate) fn in_place(mut self, place: impl fmt::Display) -> Self {
        if let Some(Some(speed)) = &mut self.speed
            && speed.shared == Some(SpeedGroup::OfPlace)
        {
            Arc::make_mut(speed).shared = Some(SpeedGroup::Place(place.to_string().into()));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_rule_counts_and_false_takes_a_policy_off() {
        let limit = |requests| Some(Some(Arc::new(RequestLimit { requests, ..RequestLimit::default() })));
        let of_listener = PoliciesWritten { max_requests: limit(1), ..PoliciesWritten::default() };
        let of_rule = PoliciesWritten { max_requests: limit(2), ..PoliciesWritten::default() };
        let off = PoliciesWritten { max_requests: Some(None), ..PoliciesWritten::default() };
        let none = PoliciesWritten::default();
        for (rule, requests) in [(&none, Some(1)), (&of_rule, Some(2)), (&off, None)] {
            let settled = rule.over(&of_listener).settle();
            assert_eq!(settled.map(|settled| settled.max_requests.as_ref().unwrap().requests), requests);
        }
    }
}
