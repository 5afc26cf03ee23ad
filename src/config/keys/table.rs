//! The table of simple keys.

use std::borrow::Cow;

use super::shape::{Form, Shape};

/// A key, as the schema shows it.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    /// The default as it would be written. Empty if there is none.
    pub(crate) default: Cow<'static, str>,
    /// One line about it.
    pub(crate) about: &'static str,
}

/// A mapping that is being read.
pub(crate) trait ReadKey {
    /// The value of a key. `None` if it is missing or wrong, and then it was reported.
    fn read<T>(&mut self, name: &'static str, shape: &Shape<T>) -> Option<T>;
}

/// Builds a group of settings from one table. A row is everything that there is to say of a key:
///
/// ```text
/// /// One line about it.
/// name: Type = default, SHAPE;
/// ```
///
/// `Settings` has a value for each key. `Written` has those that were written.
macro_rules! settings {
    ($(#[doc = $doc:literal])* $settings:ident, $written:ident {
        $($(#[doc = $about:literal])* $key:ident: $type:ty = $default:expr, $shape:expr;)*
    }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $settings {
            $($(#[doc = $about])* pub $key: $type,)*
        }

        impl Default for $settings {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        impl $settings {
            /// These settings, with those that were written in their place.
            pub(crate) fn with(&self, written: &$written) -> Self {
                Self { $($key: written.$key.clone().unwrap_or_else(|| self.$key.clone()),)* }
            }

            /// Each key and its value in YAML. A key without a value is left out.
            pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
                let values = [$(($shape.show)(&self.$key),)*];
                $written::KEYS.iter().zip(values).filter_map(|(key, value)| Some((*key, value?))).collect()
            }
        }

        /// The settings of a table that were written.
        #[derive(Clone, Debug, Default)]
        pub(crate) struct $written {
            $(pub(crate) $key: Option<$type>,)*
        }

        impl $written {
            /// The names of the keys.
            pub(crate) const KEYS: &[&'static str] = &[$(stringify!($key),)*];

            /// Reads every key.
            pub(crate) fn read(from: &mut impl $crate::config::keys::table::ReadKey) -> Self {
                Self { $($key: from.read(stringify!($key), &$shape),)* }
            }

            /// The rows of the table.
            pub(crate) fn rows() -> Vec<$crate::config::keys::table::Row> {
                vec![$($crate::config::keys::table::Row {
                    name: stringify!($key),
                    form: $shape.form,
                    default: ($shape.show)(&$default).unwrap_or_default().into(),
                    about: concat!($($about),*).trim_ascii_start(),
                },)*]
            }
        }
    };
}

pub(crate) use settings;
