//! The arguments that name a running gate.

use clap::Args;

use crate::cli::files::Files;

/// The address of the internal API of a running gate. Without one, the configuration tells it.
#[derive(Args, Debug)]
pub struct Call {
    /// The files of the configuration.
    #[command(flatten)]
    pub files: Files,
    /// Address of the internal API: HOST:PORT, :PORT or unix:/PATH
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<String>,
    /// Its token
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
}
