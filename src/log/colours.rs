//! Whether output may have colours.

/// Whether `NO_COLOR` is set and not empty (<https://no-color.org>), or the terminal has no colours.
pub fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|value| value == "dumb")
}
