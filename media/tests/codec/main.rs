//! What Chromium's encoders send, and what another implementation writes, as the descriptors understand it.

mod chromium;
mod crates;
