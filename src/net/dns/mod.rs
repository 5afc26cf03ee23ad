//! DNS of the control plane: questions to chosen servers, and updates of a zone.
//!
//! The system's resolver cannot be told which server to ask, and it keeps what a server has denied. So certificates by
//! DNS challenges need questions of their own.

mod lookup;

mod update;

mod exchange;

mod message;

pub use lookup::{Lookup, Place, zone_at};
pub use message::{Data, Kind, Message, Record};
pub use update::{TsigAlgorithm, TsigKey, change_text};
