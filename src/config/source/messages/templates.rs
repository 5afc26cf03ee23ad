//! Templates as written.

use crate::config::decode::{Decoder, Text};
use crate::config::diagnostics::did_you_mean;
use crate::http::{Scope, Template, TemplateError};

/// The template of a text. A placeholder that does not exist is an error at its place, which lists those that do.
pub(super) fn compile(decoder: &mut Decoder<'_>, text: &Text, scope: &Scope<'_>) -> Option<Template> {
    match Template::new(&text.text, scope) {
        Ok(template) => Some(template),
        Err(TemplateError { place, is_too_many }) => {
            let listed = scope.listed();
            let word = &text.text[place.clone()];
            let places = scope.places_of(word.trim_matches(['{', '}']));
            let elsewhere = places.map(|places| format!("it exists in {places}")).unwrap_or_default();
            let near = did_you_mean(word, listed.iter().map(String::as_str)).filter(|_| places.is_none());
            let hint = match near {
                _ if is_too_many => "a template has at most 64 of them".to_owned(),
                Some(near) => format!("did you mean `{near}`? `{{{word}}}` stands for the text itself"),
                None if !elsewhere.is_empty() => elsewhere,
                None => format!("those that exist here are {}", listed.join(", ")),
            };
            let name =
                if text.is_filled_in() { "a part of this text".to_owned() } else { format!("`{word}`") };
            let problem = if is_too_many { "is a placeholder too many" } else { "is no placeholder here" };
            decoder.report.error_hint(text.place_of(place), format!("{name} {problem}"), hint);
            None
        }
    }
}
