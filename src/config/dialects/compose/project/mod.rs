//! Compose projects: several files, includes, services that extend one another, variables.

mod project;

mod label_file;
mod scope;

mod merge;
mod reader;

mod dotenv;
mod interpolation;

pub(crate) use merge::pairs;
pub(crate) use project::{Project, Service, read};
pub(crate) use reader::{LabelError, Reader, dotenv_variable, join, parse_dotenv};
