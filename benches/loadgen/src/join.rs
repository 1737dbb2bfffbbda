//! How long a viewer in a real browser waits for the first picture, beyond what the browser itself needs.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::bench::{Figure, Options};
use crate::forward::median;
use crate::server::{Server, own_address};
use crate::signal::Signal;

/// Joins, and calls of the page with itself.
const TIMES: &str = "21";

/// Runs `join/join.mjs`, which drives Chromium, against a server of its own.
pub(crate) fn measure(options: &Options, signal: &Signal) -> anyhow::Result<Vec<Figure>> {
    // A browser has a candidate for each interface and pairs it with every address it is told. An address of the network
    // is what people are told; loopback alone is paired last.
    let server = Server::start(&options.server(), signal, own_address())?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("join/join.mjs");
    let output = Command::new("node")
        .arg(script)
        .arg(format!("http://{}", server.address))
        .arg(TIMES)
        .stderr(Stdio::inherit())
        .output()
        .context("node cannot be started: install the Debian package nodejs")?;
    ensure!(output.status.success(), "join.mjs failed; the server said:\n{}", server.log());
    let seen: Value = serde_json::from_slice(&output.stdout).context("join.mjs printed no numbers")?;
    let (join, direct) = (numbers(&seen["join"])?, numbers(&seen["direct"])?);
    eprintln!("join: through the server {join:.0?} ms, directly {direct:.0?} ms");
    let (join, direct) = (median(join), median(direct));
    Ok(vec![
        Figure::new("join_extra_ms_p50", join - direct, "ms"),
        Figure::new("join_ms_p50", join, "ms"),
        Figure::new("join_direct_ms_p50", direct, "ms"),
    ])
}

fn numbers(list: &Value) -> anyhow::Result<Vec<f64>> {
    let list = list.as_array().context("no list of numbers")?;
    ensure!(!list.is_empty(), "an empty list of numbers");
    Ok(list.iter().filter_map(Value::as_f64).collect())
}
