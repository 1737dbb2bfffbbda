//! The program itself, in a folder of its own that outlives it: to be killed, and started again.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

/// A program that runs. It is ended when it is dropped.
pub(crate) struct Program {
    child: Option<Child>,
    place: Arc<Place>,
    /// `http://127.0.0.1:PORT`
    pub(crate) base: String,
}

/// Its working folder. A small disk may be mounted on it.
struct Place {
    folder: TempDir,
    is_mounted: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_mounted {
            Command::new("umount").arg("--lazy").arg(self.folder.path()).status().ok();
        }
    }
}

impl Program {
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        Self::start_in(Arc::new(Place { folder, is_mounted: false }), settings)
    }

    /// On a disk of so many MiB. Only root may make one.
    pub(crate) fn start_on_small_disk(mib: u32, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let size = format!("size={mib}m");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).status();
        assert!(mounted.is_ok_and(|status| status.success()), "a small disk can be mounted (the test needs root)");
        Self::start_in(Arc::new(Place { folder, is_mounted: true }), settings)
    }

    fn start_in(place: Arc<Place>, settings: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_parlor"))
            .current_dir(place.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs([("PARLOR_LISTEN", "127.0.0.1:0"), ("PARLOR_MEDIA_PORT", "0"), ("PARLOR_TURN__STUN_LISTEN", "off")])
            .envs([("PARLOR_ANNOUNCED_ADDRESS", "127.0.0.1"), ("PARLOR_SFU__SHARDS", "1"), ("PARLOR_LOG", "warn")])
            .env("PARLOR_LIMIT_EXEMPT", "127.0.0.0/8")
            .envs(settings.iter().copied())
            .arg("serve")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program can be run");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("it is piped")).read_line(&mut line).expect("it says where it is");
        let base = line.trim_end().strip_prefix("Parlor is at ").expect("it says where it is");
        let base = base.replace("localhost", "127.0.0.1");
        Self { child: Some(child), place, base }
    }

    /// The folder of its state.
    pub(crate) fn data(&self) -> PathBuf {
        self.place.folder.path().join("data")
    }

    /// Kills it, as a power failure would: no last word.
    pub(crate) fn kill(mut self) -> Self {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        self
    }

    /// Starts it again over what it left.
    pub(crate) fn start_again(&self, settings: &[(&str, &str)]) -> Self {
        Self::start_in(self.place.clone(), settings)
    }

    /// Fills its disk until so many MiB are free.
    pub(crate) fn fill_disk(&self, free_mib: u64) {
        let path = self.place.folder.path();
        let output = Command::new("df").args(["--output=avail", "-B1"]).arg(path).output().expect("df runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let free: u64 = text.lines().last().and_then(|line| line.trim().parse().ok()).expect("df gives a number");
        let ballast = vec![0; usize::try_from(free.saturating_sub(free_mib * 1024 * 1024)).expect("the disk is small")];
        std::fs::write(path.join("ballast"), ballast).expect("there is room for it");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Ended already, or ended now.
            child.kill().ok();
            child.wait().ok();
        }
    }
}
