//! Putting strangers together.

pub mod matcher;
