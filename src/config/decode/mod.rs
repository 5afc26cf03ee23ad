//! A tree becomes typed values.

mod mapping;

mod decoder;
mod notation;

pub(crate) use decoder::{Decoder, Text};
pub(crate) use mapping::{MappingReader, SAMPLE};
pub(crate) use notation::{Filled, Notation, Unfillable};
