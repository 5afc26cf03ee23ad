//! Shapes of values: how a value is read, shown and described.

use std::time::Duration;

use super::scalar;
use super::value_error::ValueError;

/// The shape of a value of one type.
pub(crate) struct Shape<T> {
    pub(crate) parse: fn(&str) -> Result<T, ValueError>,
    /// The value in YAML. `None` if it is written by leaving the key out.
    pub(crate) show: fn(&T) -> Option<String>,
    pub(crate) form: Form,
}

/// The shape of a value, for a schema.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// Any scalar.
    Text,
    /// `true` or `false`.
    Flag,
    /// A duration, zero included.
    Duration,
    /// A duration that is not zero.
    Timeout,
    /// A number of bytes.
    Size,
    /// A number of bytes, or this word.
    SizeOr(&'static str),
    /// A whole number from the first to the second.
    Number(usize, usize),
    /// One of these words.
    Words(&'static [&'static str]),
    /// A value, or a list of such values.
    OneOrMany(&'static Form),
    /// A list.
    List(&'static Form),
    /// A mapping of names to values.
    Names(&'static Form),
    /// The mapping that messages call so.
    Mapping(&'static str),
    /// Any of these.
    Either(&'static [Form]),
    /// Any value.
    #[allow(dead_code, reason = "a dialect that can be left out has such a key")]
    Any,
}

pub(crate) const FLAG: Shape<bool> =
    Shape { parse: scalar::flag, show: |flag| Some(flag.to_string()), form: Form::Flag };
/// `false` is written by leaving the key out.
pub(crate) const WISH: Shape<bool> =
    Shape { parse: scalar::flag, show: |flag| flag.then(|| "true".to_owned()), form: Form::Flag };
pub(crate) const DURATION: Shape<Duration> =
    Shape { parse: scalar::duration, show: show_duration, form: Form::Duration };
pub(crate) const TIMEOUT: Shape<Duration> =
    Shape { parse: scalar::timeout, show: show_duration, form: Form::Timeout };
pub(crate) const HEAD_SIZE: Shape<usize> =
    Shape { parse: scalar::head_size, show: show_size, form: Form::Size };
pub(crate) const TARGET_SIZE: Shape<usize> =
    Shape { parse: scalar::target_size, show: show_size, form: Form::Size };
pub(crate) const BODY_LIMIT: Shape<Option<u64>> =
    Shape { parse: scalar::body_limit, show: show_body_limit, form: Form::SizeOr("unlimited") };
pub(crate) const FIELDS: Shape<usize> =
    Shape { parse: scalar::field_count, show: show_number, form: Form::Number(1, 4_096) };
pub(crate) const TRIES: Shape<usize> =
    Shape { parse: scalar::tries, show: show_number, form: Form::Number(1, 100) };
pub(crate) const HELD: Shape<usize> =
    Shape { parse: scalar::held, show: show_number, form: Form::Number(1, 100_000) };
pub(crate) const IDLE: Shape<usize> =
    Shape { parse: scalar::idle_count, show: show_number, form: Form::Number(0, 100_000) };
/// `None` stands for no limit.
pub(crate) const PLACES: Shape<Option<u32>> = Shape {
    parse: |text| scalar::place_count(text).map(Some),
    show: |places| places.map(|places| places.to_string()),
    form: Form::Number(1, 1_000_000),
};
pub(crate) const CONNECTIONS: Shape<usize> =
    Shape { parse: scalar::connection_count, show: show_number, form: Form::Number(1, 10_000_000) };
/// `None` stands for one per core.
pub(crate) const WORKERS: Shape<Option<usize>> = Shape {
    parse: |text| scalar::worker_count(text).map(Some),
    show: |workers| workers.as_ref().and_then(show_number),
    form: Form::Number(1, 1_024),
};

fn show_duration(duration: &Duration) -> Option<String> {
    Some(scalar::show_duration(*duration))
}

fn show_size(size: &usize) -> Option<String> {
    Some(scalar::show_size(*size as u64))
}

fn show_body_limit(limit: &Option<u64>) -> Option<String> {
    Some(limit.map_or_else(|| "unlimited".to_owned(), scalar::show_size))
}

fn show_number(number: &usize) -> Option<String> {
    Some(number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_the_bounds_that_its_form_says() {
        for Shape { parse, form, .. } in [FIELDS, TRIES, HELD, CONNECTIONS] {
            let Form::Number(least, most) = form else { panic!("{form:?}") };
            for (number, is_one) in [(least - 1, false), (least, true), (most, true), (most + 1, false)] {
                assert_eq!(parse(&number.to_string()).is_ok(), is_one, "{number} of {form:?}");
            }
        }
    }
}
