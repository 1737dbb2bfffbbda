//! Figures that need no network: the media core's simulations print them, and they are passed on.

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::bench::{Figure, Options};
use crate::signal::Signal;

/// Runs the example `figures` of `parlor-media`, which `scripts/bench` has built, and reads its lines.
pub(crate) fn measure(options: &Options, _: &Signal) -> anyhow::Result<Vec<Figure>> {
    let program = options.server().with_file_name("examples").join("figures");
    ensure!(program.is_file(), "there is no {}; make bench builds it", program.display());
    let output =
        Command::new(&program).stderr(Stdio::inherit()).output().context("the simulation cannot be started")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "the simulation failed:\n{text}");
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}
