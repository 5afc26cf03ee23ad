//! Limits on the speed of bodies and tunnels.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::config::keys::yaml::quote;

/// How fast the bytes of bodies and tunnels move. There is at least one limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Speed {
    /// From targets to clients.
    pub download: Option<BitRate>,
    /// From clients to targets.
    pub upload: Option<BitRate>,
    /// The connections that share the limits. `None`: each connection has its own.
    pub shared: Option<SpeedGroup>,
}

/// Bits per second; from 8,000 to 10^12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BitRate(pub u64);

/// The connections that share limits. Two groups with one name are equal: a view writes the name of a place.
#[derive(Clone, Debug)]
pub enum SpeedGroup {
    /// All to which the limits apply, in the place where they stand. Lowering knows its name.
    OfPlace,
    /// All to which the limits of the place with this name apply.
    Place(Arc<str>),
    /// All with this name, anywhere.
    Named(Arc<str>),
}

impl SpeedGroup {
    fn name(&self) -> Option<&str> {
        match self {
            Self::OfPlace => None,
            Self::Place(name) | Self::Named(name) => Some(name),
        }
    }
}

impl PartialEq for SpeedGroup {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for SpeedGroup {}

impl Hash for SpeedGroup {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

/// Units of rates, the largest first.
const UNITS: [(u64, &str); 4] = [(1_000_000_000, "Gbit"), (1_000_000, "Mbit"), (1_000, "kbit"), (1, "bit")];

impl BitRate {
    /// The bits of a unit; `None` if there is no such unit.
    pub fn unit(name: &str) -> Option<u64> {
        UNITS.iter().find(|(_, unit)| *unit == name).map(|(bits, _)| *bits)
    }
}

impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(bits, _)| self.0.is_multiple_of(*bits));
        let (bits, unit) = unit.copied().unwrap_or((1, "bit"));
        write!(f, "{}{unit}", self.0 / bits)
    }
}

impl fmt::Display for SpeedGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name().map_or_else(|| "true".to_owned(), quote))
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Speed { download, upload, shared } = self;
        let mut before = "{ ";
        for (key, rate) in [("download", download), ("upload", upload)] {
            if let Some(rate) = rate {
                write!(f, "{before}{key}: {rate}")?;
                before = ", ";
            }
        }
        match shared {
            None => write!(f, "{before}shared: false }}"),
            Some(group) => write!(f, "{before}shared: {group} }}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_shown_in_the_largest_unit_that_has_no_rest() {
        for (bits, shown) in
            [(8_000, "8kbit"), (8_001, "8001bit"), (50_000_000, "50Mbit"), (1_000_000_000_000, "1000Gbit")]
        {
            assert_eq!(BitRate(bits).to_string(), shown);
        }
    }
}
