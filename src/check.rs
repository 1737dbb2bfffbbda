//! `parlor check`: what is missing or wrong, in sentences for the person who runs the server. It changes nothing.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::api::{TlsError, TlsFiles};
use crate::attachments;
use crate::config::{Config, SECRET_BYTES, Tls};
use crate::files::{self, Files};
use crate::moderation::{Policy, vision::Classifier};
use crate::open_files;
use crate::recording;
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
    found.extend(files(config).await);
    found.extend(scanner(config).await);
    if config.recording.enabled {
        found.extend(recording::missing(&config.recording).await.into_iter().map(Finding::Hint));
    }
    found.extend(page(&config.web_dir));
    found.extend(certificate(config));
    found.extend(cameras(config));
    found.extend(policy(config));
    found.extend(clusters(config).await);
    found.extend(model(config).await);
    found.extend(media_ports(config));
    found.extend(announced(config));
    found.extend(turn(config));
    found.extend(proxy(config));
    found.extend(open_files(config));
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
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        // Made at the first start.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return None,
        Err(error) => return wrong(format!("The secret {} cannot be read: {}.", path.display(), reason(&error))),
    };
    if metadata.permissions().mode() & 0o077 != 0 {
        return wrong(format!("Others on this machine can read the secret {0}: run chmod 600 {0}.", path.display()));
    }
    match fs::read(path) {
        Err(error) => wrong(format!("The secret {} cannot be read: {}.", path.display(), reason(&error))),
        Ok(secret) if secret.len() < SECRET_BYTES => wrong(format!(
            "The secret {} is shorter than {SECRET_BYTES} bytes: remove it, and the next start makes one (everybody has to enter again).",
            path.display()
        )),
        Ok(_) => None,
    }
}

async fn database(config: &Config) -> Option<Finding> {
    let settings = config.store();
    // SQLite makes its file at the first start; there is nothing to reach yet.
    if config.sqlite_file().is_some_and(|file| !file.exists()) {
        return None;
    }
    let error = store::reach(&settings).await.err()?;
    wrong(format!("The database (PARLOR_DATABASE_URL) cannot be reached: {error}."))
}

async fn files(config: &Config) -> Option<Finding> {
    let folder = config.files_folder();
    let checked = match config.files.check() {
        // The folder is made at the first start; the one that it will be in is checked already.
        Ok(()) if config.files.bucket.is_none() && !folder.exists() => return None,
        Ok(()) => match Files::open(&config.files, &folder) {
            Ok(files) => files.check().await,
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    let error = checked.err()?;
    wrong(match error {
        files::Error::Setting(sentence) => format!("Files cannot be kept: {sentence}."),
        error if config.files.bucket.is_some() => {
            format!("The bucket for files (PARLOR_FILES__…) does not work: {error}.")
        }
        error => format!("Files cannot be kept in {}: {error}.", folder.display()),
    })
}

/// Without its scanner no file is ever seen.
async fn scanner(config: &Config) -> Option<Finding> {
    let setting = config.files.clamd.as_deref().filter(|it| !it.is_empty() && config.files.uploads)?;
    let error = attachments::try_scanner(setting).await.err()?;
    wrong(format!(
        "clamd at {setting} (PARLOR_FILES__CLAMD) does not work, and nobody sees a file before it does: {}.",
        reason(&error)
    ))
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

fn policy(config: &Config) -> Option<Finding> {
    let error = Policy::read(config.policy_file.as_deref()).err()?;
    let text = error.to_string();
    wrong(format!("{} (PARLOR_POLICY_FILE).", text.trim_end().trim_end_matches('.')))
}

/// People whose cluster is gone cannot come in any more.
async fn clusters(config: &Config) -> Option<Finding> {
    let clusters = match config.clusters() {
        Ok(clusters) => clusters,
        Err(error) => return wrong(format!("{}.", error.to_string().trim_end().trim_end_matches('.'))),
    };
    if clusters.lack_countries() {
        return hint(
            "A cluster lets people in by country, but PARLOR_GEO__DATABASE names no database of countries: everybody's is unknown.",
        );
    }
    // Where there is no database yet nobody is lost.
    if config.sqlite_file().is_some_and(|file| !file.exists()) {
        return None;
    }
    let people = store::people_of_clusters(&config.store()).await.ok()?;
    let lost = people.into_iter().find(|(id, _)| !clusters.all().any(|cluster| cluster.id.as_str() == id))?;
    hint(format!(
        "{} people belong to the cluster \"{}\", which is not in PARLOR_CLUSTERS_FILE: they cannot come in until it is.",
        lost.1, lost.0
    ))
}

/// Without a classifier calls go on, and nobody looks at them.
async fn model(config: &Config) -> Option<Finding> {
    if config.sample_every_ms == 0 {
        return hint(
            "Nobody looks at pictures, because PARLOR_SAMPLE_EVERY_MS is 0: nothing is found, and strangers see each other at once.",
        );
    }
    let folder = config.models_dir.clone();
    let opened = tokio::task::spawn_blocking(move || Classifier::open(&folder).map(drop)).await.ok()?;
    let error = opened.err()?;
    wrong(format!("Nobody will look at pictures (PARLOR_MODELS_DIR): {error}."))
}

fn media_ports(config: &Config) -> Option<Finding> {
    if config.media_port == 0 {
        return None;
    }
    let shards = crate::sfu::shard_count(&config.sfu);
    let ports = (0..shards).map(|n| config.media_port.saturating_add(u16::try_from(n).unwrap_or(u16::MAX)));
    let is_taken = |address: IpAddr, port| {
        UdpSocket::bind((address, port)).is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
    };
    let everywhere = [IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)];
    let taken = ports.into_iter().find(|port| everywhere.iter().any(|address| is_taken(*address, *port)))?;
    wrong(format!("UDP port {taken} for media is taken: set PARLOR_MEDIA_PORT to the first of {shards} free ports."))
}

fn announced(config: &Config) -> Option<Finding> {
    let foreign = config.announced_address.iter().find(|ip| UdpSocket::bind((**ip, 0)).is_err())?;
    hint(format!(
        "{foreign} (PARLOR_ANNOUNCED_ADDRESS) is no address of this machine; that is right only if packets sent there are forwarded here."
    ))
}

/// A proxy does https in front of us, but we do not believe it.
fn proxy(config: &Config) -> Option<Finding> {
    if !config.is_public_https() || config.is_tls() || !config.trusted_proxies.is_empty() {
        return None;
    }
    hint(
        "PARLOR_PUBLIC_URL is https, so a proxy is in front, but PARLOR_TRUSTED_PROXIES is empty: all clients seem to have the proxy's \
         address, and share its limits.",
    )
}

/// Each socket is a file.
fn open_files(config: &Config) -> Option<Finding> {
    hint(open_files::shortage(open_files::needed(config), open_files::most())?)
}

fn turn(config: &Config) -> Vec<Finding> {
    if let Err(error) = config.turn.check() {
        return wrong(format!("{error}.")).into_iter().collect();
    }
    let unopened = parlor_turn::unopened(&config.turn, config.is_tls()).unwrap_or_default();
    let told = |line: parlor_turn::Unopened| {
        hint(format!(
            "{} is not served, because {} cannot be used ({}): set PARLOR_TURN__STUN_LISTEN, TCP_LISTEN or TLS_LISTEN to another address, or to off.",
            line.what,
            line.address,
            reason(&line.error)
        ))
    };
    unopened.into_iter().filter_map(told).collect()
}

/// The system's words without the number that Rust adds.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}
