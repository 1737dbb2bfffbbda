//! What the chat is measured beside: a broadcaster on Node's `ws`, nginx with nchan, and a bare echo; each a process of its own.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::{SinkExt as _, StreamExt as _};

use crate::process::cpu_time;

/// Where Debian's package puts the module.
const NCHAN: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";
/// A start that takes longer than this has gone wrong.
const START: Duration = Duration::from_secs(10);

/// A server that is not ours; dropping it ends it.
pub(crate) struct Peer {
    child: Child,
    /// `127.0.0.1:PORT`
    pub address: String,
    folder: Option<tempfile::TempDir>,
}

impl Peer {
    /// The broadcaster on Node.
    pub(crate) fn node() -> anyhow::Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("chat/broadcaster.mjs");
        Self::that_says_where(Command::new("node").arg(script))
            .context("node cannot be started, or ws is missing (scripts/web)")
    }

    /// The echo.
    pub(crate) fn echo() -> anyhow::Result<Self> {
        Self::that_says_where(Command::new(std::env::current_exe()?).arg("socket-echo"))
    }

    fn that_says_where(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let said = child.stdout.as_mut().map(|out| BufReader::new(out).read_line(&mut line));
        let peer = Self { child, address: line.trim().to_owned(), folder: None };
        said.context("its output is piped")??;
        ensure!(!peer.address.is_empty(), "it ended at once: see above");
        Ok(peer)
    }

    /// nginx with one channel at `/room`, which everybody hears and may speak into.
    pub(crate) fn nchan() -> anyhow::Result<Self> {
        ensure!(
            Path::new(NCHAN).is_file(),
            "there is no {NCHAN}: install the Debian packages nginx and libnginx-mod-nchan"
        );
        let folder = tempfile::tempdir()?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.to_string();
        std::fs::write(folder.path().join("nginx.conf"), configuration(folder.path(), &address))?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let child = Command::new(nginx())
            .arg("-p")
            .arg(folder.path())
            .args(["-c", "nginx.conf", "-e", "log"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("nginx cannot be started: install the Debian package nginx")?;
        let peer = Self { child, address, folder: Some(folder) };
        let start = Instant::now();
        while std::net::TcpStream::connect(&peer.address).is_err() {
            ensure!(start.elapsed() < START, "nginx does not answer: {}", peer.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(peer)
    }

    fn log(&self) -> String {
        let read = |folder: &tempfile::TempDir| std::fs::read_to_string(folder.path().join("log")).ok();
        self.folder.as_ref().and_then(read).unwrap_or_default()
    }

    /// CPU time of the process and of those that it has started.
    pub(crate) fn cpu_time(&self) -> anyhow::Result<Duration> {
        let pid = self.child.id();
        let workers = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let workers = workers.split_whitespace().filter_map(|pid| pid.parse().ok());
        std::iter::once(pid).chain(workers).map(cpu_time).sum()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // nginx ends its workers when it is asked to, and not when it is killed.
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// Debian keeps it out of the `PATH` of those who are not root.
fn nginx() -> PathBuf {
    let usual = PathBuf::from("/usr/sbin/nginx");
    if usual.is_file() { usual } else { PathBuf::from("nginx") }
}

fn configuration(folder: &Path, address: &str) -> String {
    let folder = folder.display();
    let user = if nix::unistd::geteuid().is_root() { "user root;" } else { "" };
    format!(
        "load_module {NCHAN};\n{user}\ndaemon off;\nworker_processes 1;\nworker_rlimit_nofile 8192;\npid {folder}/pid;\n\
         error_log {folder}/log warn;\nevents {{ worker_connections 4096; }}\nhttp {{\n  access_log off;\n  \
         client_body_temp_path {folder}/body;\n  proxy_temp_path {folder}/proxy;\n  fastcgi_temp_path {folder}/fastcgi;\n  \
         uwsgi_temp_path {folder}/uwsgi;\n  scgi_temp_path {folder}/scgi;\n  server {{\n    listen {address};\n    \
         location = /room {{\n      nchan_pubsub websocket;\n      nchan_channel_id room;\n      \
         nchan_subscriber_first_message newest;\n      nchan_message_buffer_length 100;\n    }}\n  }}\n}}\n"
    )
}

/// Says where it is, and sends back whatever text comes, until it is killed.
pub(crate) fn run_echo() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(async move {
                let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
                while let Some(Ok(message)) = socket.next().await {
                    if message.is_text() && socket.send(message).await.is_err() {
                        return;
                    }
                }
            });
        }
    })
}
