//! A program that writes records, called as lego calls one: `PROGRAM present NAME. VALUE`, later `cleanup`.

use std::sync::Arc;

use super::record::Published;
use crate::acme::program::Run;

/// Runs the program.
pub(super) async fn run(
    command: &[Arc<str>],
    environment: &[Arc<str>],
    record: &Published,
    adds: bool,
) -> Result<(), String> {
    let verb = if adds { "present" } else { "cleanup" };
    let arguments = vec![verb.to_owned(), format!("{}.", record.name), record.value.clone()];
    Run { command, arguments, environment, variables: Vec::new(), input: Vec::new() }.run().await
}
