//! `parlor check`: what is missing or wrong, in sentences for the person who runs the server. It changes nothing.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::api::{TlsError, TlsFiles};
use crate::config::{Config, Tls};
use crate::store;

/// What the check has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The server will not start, or not do what is expected of it.
    Wrong(String),
    /// It works, but perhaps not as meant.
    Hint(String),
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wrong(sentence) => write!(f, "{sentence}"),
            Self::Hint(sentence) => write!(f, "Hint: {sentence}"),
        }
    }
}

/// Looks at everything, and says all of it at once.
pub async fn findings(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(listening(config.listen));
    let folder_is_good = match data_folder(&config.data_dir) {
        Some(finding) => {
            found.push(finding);
            false
        }
        None => true,
    };
    found.extend(secret(&config.secret_file()));
    // Without its folder SQLite fails too, and that is said already.
    if folder_is_good || config.database_url.is_some() {
        found.extend(database(config).await);
    }
    found.extend(page(&config.web_dir));
    found.extend(certificate(config));
    found.extend(cameras(config));
    found.extend(media_ports(config));
    found.extend(announced(config));
    found.extend(turn(config));
    found
}

fn wrong(sentence: impl Into<String>) -> Option<Finding> {
    Some(Finding::Wrong(sentence.into()))
}

fn hint(sentence: impl Into<String>) -> Option<Finding> {
    Some(Finding::Hint(sentence.into()))
}

fn listening(address: SocketAddr) -> Option<Finding> {
    let error = TcpListener::bind(address).err()?;
    wrong(match error.kind() {
        ErrorKind::AddrInUse => {
            format!("Port {} is taken: stop the other program, or set PARLOR_LISTEN to another port.", address.port())
        }
        ErrorKind::PermissionDenied => {
            format!("Port {} needs more rights: set PARLOR_LISTEN to a port from 1024 on.", address.port())
        }
        ErrorKind::AddrNotAvailable => {
            format!("{} is no address of this machine: set PARLOR_LISTEN to one, or to 0.0.0.0.", address.ip())
        }
        _ => format!("The address {address} (PARLOR_LISTEN) cannot be used: {error}."),
    })
}

/// The folder, or the nearest one above it that exists, must let us write.
fn data_folder(folder: &Path) -> Option<Finding> {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let existing = absolute.ancestors().find(|path| path.exists())?;
    let probe = existing.join(format!(".parlor-check-{}", std::process::id()));
    let written = fs::File::create_new(&probe).map(drop);
    fs::remove_file(&probe).ok();
    let error = written.err()?;
    wrong(format!("The data folder {} (PARLOR_DATA_DIR) cannot be written: {}.", folder.display(), reason(&error)))
}

fn secret(path: &Path) -> Option<Finding> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    if mode & 0o077 == 0 {
        return None;
    }
    wrong(format!("Others on this machine can read the secret {0}: run chmod 600 {0}.", path.display()))
}

async fn database(config: &Config) -> Option<Finding> {
    let settings = config.store();
    // SQLite makes its file at the first start; there is nothing to reach yet.
    if config.database_url.is_none() && !Path::new(&settings.url).exists() {
        return None;
    }
    let error = store::reach(&settings).await.err()?;
    wrong(format!("The database (PARLOR_DATABASE_URL) cannot be reached: {error}."))
}

fn page(folder: &Path) -> Option<Finding> {
    if folder.join("index.html").is_file() {
        return None;
    }
    wrong(format!(
        "The page is not built: {} (PARLOR_WEB_DIR) has no index.html; `make run` builds it, or `npm run build` in web/.",
        folder.display()
    ))
}

fn certificate(config: &Config) -> Option<Finding> {
    if config.tls == Tls::SelfSigned && config.tls_cert.is_none() && config.tls_key.is_none() {
        // Made at the next start, if it is not there or no longer good.
        return None;
    }
    let error = match TlsFiles::find(config) {
        Ok(None) => return None,
        Ok(Some(files)) => files.check().err()?,
        Err(error) => error,
    };
    wrong(match error {
        TlsError::Half => format!("{error}."),
        error => format!("TLS does not work (PARLOR_TLS_CERT, PARLOR_TLS_KEY): {error}."),
    })
}

/// Browsers give camera and microphone only to pages that came over https, or from the machine itself.
fn cameras(config: &Config) -> Option<Finding> {
    let https_in_front = config.public_url.as_deref().is_some_and(|url| url.starts_with("https://"));
    let ip = config.listen.ip();
    if config.is_tls() || https_in_front || ip.is_loopback() {
        return None;
    }
    let way_out = "set PARLOR_TLS=self-signed or PARLOR_TLS_CERT and PARLOR_TLS_KEY (or PARLOR_PUBLIC_URL, if a proxy does https)";
    if ip.is_unspecified() {
        return hint(format!(
            "Cameras work on this machine only (http://localhost:{}), because browsers want https elsewhere: {way_out}.",
            config.listen.port()
        ));
    }
    wrong(format!(
        "Cameras will not work, because http://{} is no secure context for browsers: {way_out}.",
        config.listen
    ))
}

fn media_ports(config: &Config) -> Option<Finding> {
    if config.media_port == 0 {
        return None;
    }
    let shards = crate::sfu::shard_count(&config.sfu);
    let ports = (0..shards).map(|n| config.media_port.saturating_add(u16::try_from(n).unwrap_or(u16::MAX)));
    let taken = ports.into_iter().find(|port| UdpSocket::bind(("0.0.0.0", *port)).is_err())?;
    wrong(format!("UDP port {taken} for media is taken: set PARLOR_MEDIA_PORT to the first of {shards} free ports."))
}

fn announced(config: &Config) -> Option<Finding> {
    let foreign = config.announced_address.iter().find(|ip| UdpSocket::bind((**ip, 0)).is_err())?;
    hint(format!(
        "{foreign} (PARLOR_ANNOUNCED_ADDRESS) is no address of this machine; that is right only if packets sent there are forwarded here."
    ))
}

fn turn(config: &Config) -> Option<Finding> {
    if let Err(error) = config.turn.check() {
        return wrong(format!("{error}."));
    }
    let listen = config.turn.stun_listen?;
    let error = UdpSocket::bind(listen).err()?;
    hint(format!(
        "STUN is not served, because UDP {listen} cannot be used ({}): set PARLOR_TURN__STUN_LISTEN to another address, or to off.",
        reason(&error)
    ))
}

/// The system's words without the number that Rust adds.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}
