//! The server under test: a `parlor serve` of its own, with its own data folder and ports.

use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::signal::Signal;

/// A start that takes longer than this has gone wrong.
const START: Duration = Duration::from_secs(20);

/// The address of loopback, where native peers are.
pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A running server; dropping it ends it.
pub(crate) struct Server {
    child: Child,
    folder: tempfile::TempDir,
    /// `127.0.0.1:PORT` of HTTP and WebSocket.
    pub address: String,
}

impl Server {
    /// Starts the binary and waits until it is ready. `announced` is the address that answers offer for media. Nobody looks at
    /// pictures: those of the load generator are none, and what looking costs is a figure of its own.
    pub(crate) fn start(binary: &Path, signal: &Signal, announced: IpAddr) -> anyhow::Result<Self> {
        Self::start_with(binary, signal, announced, &[("PARLOR_SAMPLE_EVERY_MS", "0")])
    }

    /// The same with other settings.
    pub(crate) fn start_with(
        binary: &Path,
        signal: &Signal,
        announced: IpAddr,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        ensure!(binary.is_file(), "there is no server at {}; build it first (make bench does)", binary.display());
        let folder = tempfile::tempdir()?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.to_string();
        let media_port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let log = std::fs::File::create(folder.path().join("log"))?;
        let child = Command::new(binary)
            .arg("serve")
            .env("PARLOR_LISTEN", &address)
            .env("PARLOR_DATA_DIR", folder.path().join("data"))
            .env("PARLOR_MEDIA_PORT", media_port.to_string())
            .env("PARLOR_ANNOUNCED_ADDRESS", announced.to_string())
            .env("PARLOR_LIMIT_EXEMPT", "127.0.0.0/8")
            .env("PARLOR_TURN__STUN_LISTEN", "off")
            // One publisher and fifty subscribers are one more than the default allows.
            .env("PARLOR_ROOMS__MAX_PARTICIPANTS", "64")
            // Everybody of a run comes from one address.
            .env("PARLOR_HTTP__MAX_CONNECTIONS_PER_ADDRESS", "20000")
            .env("PARLOR_LOG", "warn")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", binary.display()))?;
        let mut server = Self { child, folder, address };
        let start = Instant::now();
        while !signal.is_ready(&server.address) {
            if let Some(status) = server.child.try_wait()? {
                bail!("the server ended ({status}):\n{}", server.log());
            }
            ensure!(start.elapsed() < START, "the server is not ready:\n{}", server.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This machine's address on its network, or loopback where it has none. Nothing is sent to find it.
pub(crate) fn own_address() -> IpAddr {
    // A documentation address (RFC 5737): the system only chooses the interface that would lead there.
    let route = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect(("198.51.100.1", 9))?;
        socket.local_addr()
    });
    route.map_or(LOOPBACK, |address| address.ip())
}
