//! A tree becomes typed values.

mod mapping;

mod decoder;

pub(crate) use decoder::{Decoder, Text};
pub(crate) use mapping::MappingReader;
