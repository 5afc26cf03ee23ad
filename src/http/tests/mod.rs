//! Byte strings in, heads and bodies out.
