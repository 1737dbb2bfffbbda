//! A line between a node and what it rests on, that a test can hold or cut.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// What becomes of what comes along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// Nothing gets through, and nobody is told.
    Held,
    /// Connections break, and new ones are closed at once.
    Cut,
}

/// Where the line leads.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Port(u16),
    Socket(PathBuf),
}

/// The line, as the test holds it.
pub(crate) struct Line {
    pub(crate) port: u16,
    way: Arc<watch::Sender<Way>>,
}

impl Line {
    pub(crate) async fn to(end: End) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it has one").port();
        let way = Arc::new(watch::Sender::new(Way::Open));
        let ways = way.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, end.clone(), ways.subscribe()));
            }
        });
        Self { port, way }
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn carry(near: TcpStream, end: End, mut way: watch::Receiver<Way>) {
    if !is_open(&mut way).await {
        return;
    }
    match end {
        End::Port(port) => {
            if let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await {
                both(near, far, way).await;
            }
        }
        End::Socket(path) => {
            if let Ok(far) = UnixStream::connect(path).await {
                both(near, far, way).await;
            }
        }
    }
}

async fn both<F: AsyncRead + AsyncWrite>(near: TcpStream, far: F, way: watch::Receiver<Way>) {
    let ((mut near_reads, mut near_writes), (mut far_reads, mut far_writes)) =
        (near.into_split(), tokio::io::split(far));
    // The end of either is the end of both.
    tokio::select! {
        () = one(&mut near_reads, &mut far_writes, way.clone()) => {}
        () = one(&mut far_reads, &mut near_writes, way) => {}
    }
}

async fn one(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin), mut way: watch::Receiver<Way>) {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let mut cuts = way.clone();
        let count = tokio::select! {
            read = from.read(&mut bytes) => match read { Ok(0) | Err(_) => return, Ok(count) => count },
            _ = cuts.wait_for(|way| *way == Way::Cut) => return,
        };
        if !is_open(&mut way).await || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

/// Waits while the line is held. `false`: it is cut.
async fn is_open(way: &mut watch::Receiver<Way>) -> bool {
    way.wait_for(|way| *way != Way::Held).await.is_ok_and(|way| *way == Way::Open)
}
