//! The virus scanner clamd, asked by its own protocol (clamd(8), INSTREAM): pieces with their lengths in front, an empty one at the
//! end, and one line as the answer.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

/// How long it has to take a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// What is scanned to see that it answers.
const HARMLESS: &[u8] = b"parlor";
/// How long it has for that.
const TRIAL_PATIENCE: Duration = Duration::from_secs(15);
/// How long a scan may take. clamd's own limit is two minutes.
const PATIENCE: Duration = Duration::from_secs(180);
/// What is sent at once, in bytes.
const PIECE_BYTES: usize = 64 * 1024;
/// The longest answer, in bytes: a line with the name of what was found.
const ANSWER_BYTES: u64 = 4 * 1024;

/// Where clamd is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Clamd {
    Tcp(String),
    Unix(PathBuf),
}

/// What it says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Clean,
    /// The name of what it found.
    Infected(String),
    /// It does not take this file: it is larger than its own settings allow.
    TooLarge,
}

impl Clamd {
    /// `host:port`, or a path, which may have `unix:` in front.
    pub(super) fn parse(setting: &str) -> Self {
        match setting.strip_prefix("unix:") {
            Some(path) => Self::Unix(path.into()),
            None if setting.starts_with('/') => Self::Unix(setting.into()),
            None => Self::Tcp(setting.to_owned()),
        }
    }

    /// Has a file scanned.
    ///
    /// # Errors
    /// When it cannot be reached, breaks off, or fails: nothing is known of the file then.
    pub(super) async fn scan(&self, file: &Path) -> io::Result<Verdict> {
        let file = File::open(file).await?;
        patiently(PATIENCE, self.look_at(file)).await
    }

    /// Has a harmless word scanned.
    ///
    /// # Errors
    /// When it cannot be reached, breaks off, fails, or finds something.
    pub(super) async fn try_out(&self) -> io::Result<()> {
        match patiently(TRIAL_PATIENCE, self.look_at(HARMLESS)).await? {
            Verdict::Clean => Ok(()),
            verdict => Err(io::Error::other(format!("it takes a harmless word for {verdict:?}"))),
        }
    }

    async fn look_at(&self, bytes: impl AsyncRead + Unpin) -> io::Result<Verdict> {
        match self {
            Self::Tcp(address) => ask(patiently(CONNECT_PATIENCE, TcpStream::connect(address)).await?, bytes).await,
            Self::Unix(path) => ask(patiently(CONNECT_PATIENCE, UnixStream::connect(path)).await?, bytes).await,
        }
    }
}

async fn patiently<T>(patience: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(patience, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: impl AsyncRead + Unpin) -> io::Result<Verdict> {
    let sent = send(&mut stream, bytes).await;
    // Whoever has enough answers and closes before all is sent.
    let mut answer = Vec::new();
    let heard = stream.take(ANSWER_BYTES).read_to_end(&mut answer).await;
    if answer.is_empty() {
        sent?;
        heard?;
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let line = answer.split(|byte| matches!(byte, 0 | b'\n')).next().unwrap_or_default();
    verdict_of(&String::from_utf8_lossy(line))
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), mut bytes: impl AsyncRead + Unpin) -> io::Result<()> {
    stream.write_all(b"zINSTREAM\0").await?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let length = bytes.read(&mut piece).await?;
        let prefix = u32::try_from(length).map_err(io::Error::other)?;
        stream.write_all(&prefix.to_be_bytes()).await?;
        stream.write_all(&piece[..length]).await?;
        if length == 0 {
            return stream.flush().await;
        }
    }
}

fn verdict_of(line: &str) -> io::Result<Verdict> {
    let said = line.strip_prefix("stream:").unwrap_or(line).trim();
    if said == "OK" {
        Ok(Verdict::Clean)
    } else if let Some(name) = said.strip_suffix("FOUND") {
        Ok(Verdict::Infected(name.trim().to_owned()))
    } else if said.contains("size limit exceeded") {
        Ok(Verdict::TooLarge)
    } else {
        Err(io::Error::other(format!("clamd said {said:?}")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers_are_read() {
        assert_eq!(verdict_of("stream: OK").unwrap(), Verdict::Clean);
        let found = Verdict::Infected("Win.Test.EICAR_HDB-1".to_owned());
        assert_eq!(verdict_of("stream: Win.Test.EICAR_HDB-1 FOUND").unwrap(), found);
        assert_eq!(verdict_of("INSTREAM size limit exceeded. ERROR").unwrap(), Verdict::TooLarge);
        assert!(verdict_of("stream: Can't allocate memory ERROR").is_err());
        assert!(verdict_of("").is_err());
    }

    #[test]
    fn places_are_read() {
        assert_eq!(Clamd::parse("127.0.0.1:3310"), Clamd::Tcp("127.0.0.1:3310".to_owned()));
        assert_eq!(Clamd::parse("/run/clamd.ctl"), Clamd::Unix("/run/clamd.ctl".into()));
        assert_eq!(Clamd::parse("unix:/run/clamd.ctl"), Clamd::Unix("/run/clamd.ctl".into()));
    }

    proptest! {
        #[test]
        fn only_ok_is_clean(line in ".{0,40}") {
            let said = line.strip_prefix("stream:").unwrap_or(&line).trim().to_owned();
            prop_assert!(said == "OK" || !matches!(verdict_of(&line), Ok(Verdict::Clean)));
        }
    }
}
