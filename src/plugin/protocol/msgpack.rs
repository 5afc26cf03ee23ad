//! The part of MessagePack that messages need, as the specification of MessagePack calls the forms. Without extensions:
//! no message has one.

use std::borrow::Cow;

use super::value::{Entries, MessageError, Value};

/// How deep lists and maps stand in each other.
const DEPTH_MAX: usize = 8;

/// Values of one message, so that a message of 1 MiB takes a bounded part of memory.
const PARTS_MAX: usize = 16 * 1024;

/// Writes a value.
pub(super) fn write(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Nil => out.push(0xc0),
        Value::Bool(flag) => out.push(0xc2 + u8::from(*flag)),
        Value::Byte(number) => out.extend([0xcc, *number]),
        Value::Int(number) => write_int(*number, out),
        Value::Int64(number) => write_with(0xd3, &number.to_be_bytes(), out),
        Value::Float(number) => write_with(0xcb, &number.to_be_bytes(), out),
        Value::Text(text) => {
            write_length(text.len(), (0xa0, 31), [Some(0xd9), Some(0xda), Some(0xdb)], out);
            out.extend_from_slice(text);
        }
        Value::Binary(bytes) => {
            write_length(bytes.len(), (0, 0), [Some(0xc4), Some(0xc5), Some(0xc6)], out);
            out.extend_from_slice(bytes);
        }
        Value::List(items) => {
            write_length(items.len(), (0x90, 15), [None, Some(0xdc), Some(0xdd)], out);
            items.iter().for_each(|item| write(item, out));
        }
        Value::Map(entries) => {
            write_length(entries.len(), (0x80, 15), [None, Some(0xde), Some(0xdf)], out);
            for (key, value) in entries {
                write(&Value::Text(Cow::Borrowed(key)), out);
                write(value, out);
            }
        }
    }
}

fn write_with(form: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(form);
    out.extend_from_slice(bytes);
}

/// Writes a number in its shortest form.
fn write_int(number: i64, out: &mut Vec<u8>) {
    match number {
        0..=0x7f => out.push(number as u8),
        -32..=-1 => out.push(number as i8 as u8),
        0x80..=0xff => write_with(0xcc, &(number as u8).to_be_bytes(), out),
        0x100..=0xffff => write_with(0xcd, &(number as u16).to_be_bytes(), out),
        0x1_0000..=0xffff_ffff => write_with(0xce, &(number as u32).to_be_bytes(), out),
        0x1_0000_0000.. => write_with(0xcf, &(number as u64).to_be_bytes(), out),
        -0x80..=-33 => write_with(0xd0, &(number as i8).to_be_bytes(), out),
        -0x8000..=-0x81 => write_with(0xd1, &(number as i16).to_be_bytes(), out),
        -0x8000_0000..=-0x8001 => write_with(0xd2, &(number as i32).to_be_bytes(), out),
        ..=-0x8000_0001 => write_with(0xd3, &number.to_be_bytes(), out),
    }
}

/// Writes a length: in the byte of the form if it is at most `fixed.1`, else in one, two or four bytes behind a form.
fn write_length(length: usize, fixed: (u8, usize), forms: [Option<u8>; 3], out: &mut Vec<u8>) {
    let [one, two, four] = forms;
    match (one, two, four) {
        _ if fixed.0 != 0 && length <= fixed.1 => out.push(fixed.0 + length as u8),
        (Some(form), ..) if length <= 0xff => write_with(form, &[length as u8], out),
        (_, Some(form), _) if length <= 0xffff => write_with(form, &(length as u16).to_be_bytes(), out),
        // Frames are shorter than 4 GiB.
        (.., Some(form)) => write_with(form, &(length as u32).to_be_bytes(), out),
        (.., None) => {}
    }
}

/// Reads one value, which all of the bytes are.
///
/// # Errors
/// They are no value, or one that is too large.
pub(super) fn read(bytes: &[u8]) -> Result<Value<'_>, MessageError> {
    let mut reader = Reader { bytes, parts: 0 };
    let value = reader.value(0)?;
    if reader.bytes.is_empty() { Ok(value) } else { Err(MessageError::Surplus) }
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// Values that were read.
    parts: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], MessageError> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(MessageError::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    /// An unsigned number of `count` bytes, at most eight.
    fn number(&mut self, count: usize) -> Result<u64, MessageError> {
        Ok(self.take(count)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A signed number of `count` bytes.
    fn signed(&mut self, count: usize) -> Result<i64, MessageError> {
        let unused = 64 - 8 * count as u32;
        Ok((self.number(count)? << unused) as i64 >> unused)
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, MessageError> {
        self.parts += 1;
        if depth > DEPTH_MAX || self.parts > PARTS_MAX {
            return Err(MessageError::TooLarge);
        }
        let form = self.take(1)?[0];
        Ok(match form {
            0x00..=0x7f => Value::Int(form.into()),
            0x80..=0x8f => self.map(usize::from(form & 0x0f), depth)?,
            0x90..=0x9f => self.list(usize::from(form & 0x0f), depth)?,
            0xa0..=0xbf => Value::Text(self.take(usize::from(form & 0x1f))?.into()),
            0xc0 => Value::Nil,
            0xc2 | 0xc3 => Value::Bool(form == 0xc3),
            0xc4..=0xc6 => {
                let length = self.number(1 << (form - 0xc4))?;
                Value::Binary(self.take(length as usize)?.into())
            }
            0xca => Value::Float(f32::from_bits(self.number(4)? as u32).into()),
            0xcb => Value::Float(f64::from_bits(self.number(8)?)),
            0xcc => Value::Byte(self.number(1)? as u8),
            0xcd | 0xce => Value::Int(self.number(1 << (form - 0xcc))? as i64),
            0xcf => Value::Int(i64::try_from(self.number(8)?).map_err(|_| MessageError::TooLarge)?),
            0xd0..=0xd2 => Value::Int(self.signed(1 << (form - 0xd0))?),
            0xd3 => Value::Int64(self.signed(8)?),
            0xd9..=0xdb => {
                let length = self.number(1 << (form - 0xd9))?;
                Value::Text(self.take(length as usize)?.into())
            }
            0xdc | 0xdd => {
                let count = self.number(2 << (form - 0xdc))?;
                self.list(count as usize, depth)?
            }
            0xde | 0xdf => {
                let count = self.number(2 << (form - 0xde))?;
                self.map(count as usize, depth)?
            }
            0xe0..=0xff => Value::Int((form as i8).into()),
            0xc1 | 0xc7..=0xc9 | 0xd4..=0xd8 => return Err(MessageError::Malformed),
        })
    }

    // Without room in advance: a count may be a lie.
    fn list(&mut self, count: usize, depth: usize) -> Result<Value<'a>, MessageError> {
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.value(depth + 1)?);
        }
        Ok(Value::List(items))
    }

    fn map(&mut self, count: usize, depth: usize) -> Result<Value<'a>, MessageError> {
        let mut entries: Entries<'a> = Vec::new();
        for _ in 0..count {
            let key = match self.value(depth + 1)? {
                Value::Text(key) | Value::Binary(key) => key,
                _ => return Err(MessageError::Malformed),
            };
            entries.push((key, self.value(depth + 1)?));
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &Value<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        write(value, &mut out);
        out
    }

    #[test]
    fn numbers_have_their_shortest_form() {
        for (number, bytes) in [
            (0, &[0x00][..]),
            (127, &[0x7f]),
            (128, &[0xcc, 0x80]),
            (401, &[0xcd, 0x01, 0x91]),
            (65_536, &[0xce, 0, 1, 0, 0]),
            (1 << 32, &[0xcf, 0, 0, 0, 1, 0, 0, 0, 0]),
            (-1, &[0xff]),
            (-32, &[0xe0]),
            (-33, &[0xd0, 0xdf]),
            (-129, &[0xd1, 0xff, 0x7f]),
            (-32_769, &[0xd2, 0xff, 0xff, 0x7f, 0xff]),
            (i64::MIN, &[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            assert_eq!(written(&Value::Int(number)), bytes, "{number}");
            let is_it = matches!(read(bytes), Ok(Value::Int(read)) if read == number)
                || matches!(read(bytes), Ok(Value::Byte(read)) if i64::from(read) == number)
                || matches!(read(bytes), Ok(Value::Int64(read)) if read == number);
            assert!(is_it, "{number}");
        }
    }

    #[test]
    fn texts_lists_and_maps_of_every_length_come_back() {
        for length in [0, 1, 15, 16, 31, 32, 255, 256, 4_000, 70_000] {
            let bytes = vec![b'x'; length];
            for value in [Value::text(&bytes), Value::Binary(Cow::Borrowed(&bytes))] {
                assert_eq!(read(&written(&value)), Ok(value.clone()), "{length}");
            }
            if length <= 4_000 {
                let list = Value::List(vec![Value::Bool(true); length]);
                let map = Value::Map(vec![(Cow::Borrowed(b"k"), Value::Float(0.5)); length]);
                assert_eq!(read(&written(&list)), Ok(list));
                assert_eq!(read(&written(&map)), Ok(map));
            }
        }
    }

    #[test]
    fn bytes_that_are_no_value_are_refused() {
        for (bytes, error) in [
            (&b""[..], MessageError::Truncated),
            (&[0xa2, b'x'], MessageError::Truncated),
            (&[0xdb, 0xff, 0xff, 0xff, 0xff, b'x'], MessageError::Truncated),
            (&[0xdf, 0xff, 0xff, 0xff, 0xff], MessageError::Truncated),
            (&[0xc0, 0xc0], MessageError::Surplus),
            (&[0xc1], MessageError::Malformed),
            (&[0xd4, 0x01, 0x00], MessageError::Malformed),
            // A key that is a number.
            (&[0x81, 0x01, 0xc0], MessageError::Malformed),
            (&[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], MessageError::TooLarge),
            (&[0x91; 40], MessageError::TooLarge),
        ] {
            assert_eq!(read(bytes), Err(error), "{bytes:x?}");
        }
        let many = [&[0xdd, 0, 0, 0x80, 0][..], &[0xc0; 0x8000]].concat();
        assert_eq!(read(&many), Err(MessageError::TooLarge));
    }
}
