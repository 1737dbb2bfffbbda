//! Watches what is shown, and keeps the desk where people decide.

pub mod vision;
