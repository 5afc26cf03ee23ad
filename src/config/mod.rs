//! Text becomes a [`plan::Plan`]. Pure: opens no socket, starts no task, reads no file by itself.

pub mod plan;
