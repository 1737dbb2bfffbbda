//! The file `secret` of the data folder, which signs what this site hands out.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::config::SECRET_BYTES;

/// Reads the secret, or makes one that only this user can read.
pub(crate) fn of_file(file: &Path) -> anyhow::Result<Vec<u8>> {
    let unusable = || format!("the secret {} cannot be used", file.display());
    match fs::read(file) {
        Ok(secret) if secret.len() >= SECRET_BYTES => Ok(secret),
        Ok(_) => anyhow::bail!("{}: it is shorter than {SECRET_BYTES} bytes", unusable()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(file).with_context(unusable),
        Err(error) => Err(error).with_context(unusable),
    }
}

/// Writes a secret beside its place and links it there, whole: a crash leaves no half of one, and of two processes that start at
/// once both take the one that was first.
fn make(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut secret = vec![0; SECRET_BYTES];
    SystemRandom::new().fill(&mut secret).ok().context("the system gives no random numbers")?;
    let draft = file.with_extension(format!("{}.new", std::process::id()));
    let mut made = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    made.write_all(&secret)?;
    made.sync_all()?;
    let linked = fs::hard_link(&draft, file);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(fs::read(file)?),
        linked => Ok(linked.map(|()| secret)?),
    }
}
