//! A PostgreSQL of a measurement alone, durable as it comes: gone when the measurement is.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// A start that takes longer than this has gone wrong.
const START: Duration = Duration::from_secs(30);

/// A running server; dropping it ends it.
pub(crate) struct Postgres {
    child: Child,
    folder: tempfile::TempDir,
}

impl Postgres {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let programs = programs()?;
        let folder = tempfile::tempdir()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700))?;
        let owner = owner()?;
        if let Some((user, group)) = owner {
            chown(folder.path(), Some(user), Some(group))?;
        }
        let data = folder.path().join("data");
        let mut init = Command::new(programs.join("initdb"));
        init.args(["--auth=trust", "--username=parlor", "--encoding=UTF8", "--locale=C", "-D"]).arg(&data);
        let made = as_owner(&mut init, owner).output()?;
        ensure!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        let log = fs::File::create(folder.path().join("log"))?;
        let mut server = Command::new(programs.join("postgres"));
        // Only a socket in the folder, no port. What is durable stays as it comes.
        server.arg("-D").arg(&data).arg("-k").arg(folder.path()).args(["-c", "listen_addresses="]);
        server.args(["-c", "max_connections=400"]).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = as_owner(&mut server, owner).spawn()?;
        let postgres = Self { child, folder };
        let start = Instant::now();
        loop {
            let mut ask = Command::new(programs.join("pg_isready"));
            if ask.arg("-q").arg("-h").arg(postgres.folder.path()).status()?.success() {
                return Ok(postgres);
            }
            ensure!(start.elapsed() < START, "PostgreSQL does not answer: {}", postgres.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The address of the database that every PostgreSQL has.
    pub(crate) fn url(&self) -> String {
        format!("postgres:///postgres?host={}&user=parlor", self.folder.path().display())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT: connections are cut, and it ends at once.
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT);
        let _ = self.child.wait();
    }
}

/// The folder of the newest PostgreSQL's programs.
fn programs() -> anyhow::Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.map(|entry| entry.path()).filter(|path| number(path).is_some()).max_by_key(number);
    let programs = newest.map(|path| path.join("bin")).filter(|path| path.join("initdb").exists());
    programs.context("PostgreSQL is missing: install the Debian package postgresql")
}

/// PostgreSQL refuses to run as root: then it is somebody else's.
fn owner() -> anyhow::Result<Option<(u32, u32)>> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    let user = nix::unistd::User::from_name("postgres")?.context("there is no user postgres")?;
    Ok(Some((user.uid.as_raw(), user.gid.as_raw())))
}

fn as_owner(command: &mut Command, owner: Option<(u32, u32)>) -> &mut Command {
    match owner {
        Some((user, group)) => command.gid(group).uid(user).current_dir(Path::new("/")),
        None => command,
    }
}
