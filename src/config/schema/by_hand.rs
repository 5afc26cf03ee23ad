//! A key that is read by hand, as the schema shows it.

use crate::config::keys::Form;

/// A key, the shape of its value, its default, and one line about it. The default [`REQUIRED`] tells that the key must
/// be there. It is empty if there is none, or if it depends on other keys.
pub(crate) type ByHand = (&'static str, Form, &'static str, &'static str);

/// The default of a key that must be there.
pub(crate) const REQUIRED: &str = "(required)";

/// A path of a file or a folder.
pub(super) const PATH: Form = Form::Text;
