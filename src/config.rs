//! What the operator can set: `PARLOR_*` in the environment, over an optional TOML file, over [`Config::default`].
//!
//! A nested key is written with `__`: `PARLOR_TURN__TTL_S=600` is `ttl_s` of the section `[turn]`. Each module declares its
//! own section; the names without a section are those that an operator meets first.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

use crate::{
    auth, clusters,
    domain::feature::{Feature, Features},
    files, hub, limit, matching, moderation, nodes, previews, recording, rooms, sfu, store, webhooks,
};

/// Bytes of the secret that signs tokens.
pub const SECRET_BYTES: usize = 32;

/// Everything that can be set. Times and sizes carry their unit in the name.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Where https, wss, http and ws are served (TCP).
    pub listen: SocketAddr,
    /// The folder of everything that must outlive the process: database, secret, own certificate.
    pub data_dir: PathBuf,
    /// `postgres://…`, or the path of an SQLite file. Unset: `parlor.db` in the data folder.
    pub database_url: Option<String>,
    /// `redis://host:6379`: what several nodes on one PostgreSQL tell each other goes over it. Unset: this is the only node.
    pub redis_url: Option<String>,
    /// The built page (`npm run build` in `web/`). A folder that does not exist: REST and socket only.
    pub web_dir: PathBuf,
    /// The address people type, such as `https://parlor.example.org`. Unset: made from `listen`. It stands in printed links,
    /// and its origin may open sockets.
    pub public_url: Option<String>,
    /// The first UDP port of media; shard n uses this port + n. 0: any free ports, for tests.
    pub media_port: u16,
    /// The TCP port for clients whose network blocks UDP; `off` or 0: none. Unset: the number of `media_port`.
    #[serde(deserialize_with = "port_or_off")]
    pub media_tcp_port: Option<u16>,
    /// All shards share `media_port`: for Docker, and firewalls that open one port.
    pub media_one_port: bool,
    /// The addresses at which clients reach the media ports. Empty: those of this machine's interfaces.
    #[serde(deserialize_with = "list")]
    pub announced_address: Vec<IpAddr>,
    /// How often a picture of each camera and screen is looked at, in milliseconds; 0: never.
    pub sample_every_ms: u64,
    /// The folder that `models/prepare` filled: the classifier and what runs it.
    pub models_dir: PathBuf,
    /// What is to happen when the classifier sees something (TOML). Unset: the default, see `moderation::Policy`.
    pub policy_file: Option<PathBuf>,
    /// The clusters of this deployment (TOML), see `docs/clusters.md`. Unset: there is one, to which everybody belongs.
    pub clusters_file: Option<PathBuf>,
    /// Certificate chain (PEM), read again when it changes.
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM), read again when it changes.
    pub tls_key: Option<PathBuf>,
    /// TLS without files of the operator.
    pub tls: Tls,
    /// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed, as addresses or CIDRs.
    #[serde(deserialize_with = "list")]
    pub trusted_proxies: Vec<IpNet>,
    /// Other origins (`https://chat.example.org`) whose pages may call this server. Its own origin always may.
    #[serde(deserialize_with = "list")]
    pub allowed_origins: Vec<String>,
    /// Addresses or CIDRs that may read `/metrics`. This machine and moderators always may.
    #[serde(deserialize_with = "list")]
    pub metrics_from: Vec<IpNet>,
    /// Addresses or CIDRs that no rate limit holds for: load tools.
    #[serde(deserialize_with = "list")]
    pub limit_exempt: Vec<IpNet>,
    /// What the log says: `info`, `debug`, or directives such as `warn,parlor=debug`; in front of it, `json:` or `pretty:`
    /// picks the form (otherwise: pretty on a terminal, JSON elsewhere).
    pub log: String,
    /// What this deployment offers: each feature is on or off, and off for every cluster if it is off here.
    pub features: Features,
    /// Where addresses are.
    pub geo: clusters::Geo,
    /// Limits of the HTTP side.
    pub http: Http,
    /// Where files are kept.
    pub files: files::Config,
    /// Logins and tokens.
    pub auth: auth::Config,
    /// How sessions are kept.
    pub hub: hub::Config,
    /// Rates.
    pub limit: limit::Config,
    /// Strangers.
    pub matching: matching::Config,
    /// Rooms.
    pub rooms: rooms::Config,
    /// Looking at what is shown.
    pub moderation: moderation::Config,
    /// What links lead to.
    pub previews: previews::Config,
    /// Who else is told of what happens in rooms.
    pub webhooks: webhooks::Config,
    /// Recordings of calls.
    pub recording: recording::Config,
    /// What several nodes tell each other.
    pub nodes: nodes::Config,
    /// The media side.
    pub sfu: sfu::Config,
    /// The database.
    pub store: store::Config,
    /// STUN responder and TURN credentials.
    pub turn: parlor_turn::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 3003)),
            data_dir: "data".into(),
            database_url: None,
            redis_url: None,
            web_dir: "web/app/dist".into(),
            public_url: None,
            // Below the ports that Linux hands out to outgoing connections (32768 and up), so that it is free at each start.
            media_port: 10_000,
            media_tcp_port: None,
            media_one_port: false,
            announced_address: Vec::new(),
            sample_every_ms: 5_000,
            models_dir: "models".into(),
            policy_file: None,
            clusters_file: None,
            tls_cert: None,
            tls_key: None,
            tls: Tls::default(),
            trusted_proxies: Vec::new(),
            allowed_origins: Vec::new(),
            metrics_from: Vec::new(),
            limit_exempt: Vec::new(),
            log: "info".into(),
            features: Features::default(),
            geo: clusters::Geo::default(),
            http: Http::default(),
            files: files::Config::default(),
            auth: auth::Config::default(),
            hub: hub::Config::default(),
            limit: limit::Config::default(),
            matching: matching::Config::default(),
            rooms: rooms::Config::default(),
            moderation: moderation::Config::default(),
            previews: previews::Config::default(),
            webhooks: webhooks::Config::default(),
            recording: recording::Config::default(),
            nodes: nodes::Config::default(),
            sfu: sfu::Config::default(),
            store: store::Config::default(),
            turn: parlor_turn::Config::default(),
        }
    }
}

/// What `PARLOR_TLS` may say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    /// Plain http, unless a certificate is named.
    #[default]
    Off,
    /// A certificate that the server makes for itself and keeps in the data folder. Browsers warn once, then give cameras.
    SelfSigned,
}

/// Limits of the HTTP side (`PARLOR_HTTP__…`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Connections served at once; further ones wait in the kernel's backlog.
    pub max_connections: usize,
    /// Connections from one IPv4 address or IPv6 /64; more are refused. Not for `limit_exempt` and `trusted_proxies`.
    pub max_connections_per_address: usize,
    /// The time a client has for the head of a request, in milliseconds.
    pub head_timeout_ms: u64,
    /// The time a client has for the body of a request, in milliseconds; shorter than the next, because a slow client is no failure
    /// of ours.
    pub body_timeout_ms: u64,
    /// The time a request without an upgrade may take, in milliseconds.
    pub request_timeout_ms: u64,
    /// The time a new socket has for its first frame, in milliseconds.
    pub login_timeout_ms: u64,
    /// The time without a byte after which a socket is closed, in milliseconds.
    pub idle_timeout_ms: u64,
    /// The time that a stop waits for requests and sockets, in milliseconds.
    pub drain_ms: u64,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            max_connections: 20_000,
            max_connections_per_address: 500,
            head_timeout_ms: 10_000,
            body_timeout_ms: 10_000,
            request_timeout_ms: 30_000,
            login_timeout_ms: 5_000,
            idle_timeout_ms: 60_000,
            drain_ms: 10_000,
        }
    }
}

/// A configuration, and the settings that nobody knows.
#[derive(Debug)]
pub struct Loaded {
    /// What to run with.
    pub config: Config,
    /// Names without a meaning: a misspelling, or variables that an orchestrator sets for a service called "parlor". They are
    /// told, not refused.
    pub unknown: Vec<String>,
}

/// A setting that cannot be read; the text is for people.
#[derive(Debug, thiserror::Error)]
#[error("the configuration cannot be read: {0}")]
pub struct ConfigError(#[from] config::ConfigError);

impl Config {
    /// Reads the file, if there is one, and the process's environment.
    ///
    /// # Errors
    /// When the file is missing or not TOML, or a value has the wrong form.
    pub fn load(file: Option<&Path>) -> Result<Loaded, ConfigError> {
        Self::from_sources(file, None)
    }

    /// `environment` replaces the process's own, for tests.
    fn from_sources(
        file: Option<&Path>,
        environment: Option<config::Map<String, String>>,
    ) -> Result<Loaded, ConfigError> {
        let mut builder = config::Config::builder();
        if let Some(path) = file {
            builder = builder.add_source(config::File::from(path).format(config::FileFormat::Toml));
        }
        let environment = config::Environment::with_prefix("PARLOR")
            .prefix_separator("_")
            .separator("__")
            .ignore_empty(true)
            .source(environment);
        let mut unknown = Vec::new();
        let values = builder.add_source(environment).build()?;
        let config = serde_ignored::deserialize(values, |path| unknown.push(path.to_string()))?;
        // The file's own path is read by `main`.
        unknown.retain(|name| name != "config");
        unknown.sort();
        Ok(Loaded { config, unknown })
    }

    /// The file of the secret that signs tokens.
    #[must_use]
    pub fn secret_file(&self) -> PathBuf {
        self.data_dir.join("secret")
    }

    /// The folder of the files, where no bucket is named.
    #[must_use]
    pub fn files_folder(&self) -> PathBuf {
        self.data_dir.join("files")
    }

    /// The folder of what is being recorded, on this machine wherever finished files go.
    #[must_use]
    pub fn recordings_folder(&self) -> PathBuf {
        self.data_dir.join("recordings")
    }

    /// The folder of what is being uploaded, on this machine wherever finished files go.
    #[must_use]
    pub fn uploads_folder(&self) -> PathBuf {
        self.data_dir.join("uploads")
    }

    /// The settings of the database, its address included.
    #[must_use]
    pub fn store(&self) -> store::Config {
        let own = || self.data_dir.join("parlor.db").to_string_lossy().into_owned();
        store::Config { url: self.database_url.clone().unwrap_or_else(own), ..self.store.clone() }
    }

    /// The settings of the media side.
    #[must_use]
    pub fn sfu(&self) -> sfu::Config {
        sfu::Config {
            sample_every_ms: self.sample_every_ms,
            tcp_port: self.tcp_port(),
            one_port: self.media_one_port,
            ..self.sfu.clone()
        }
    }

    /// The TCP port of media, 0 for any free one; `None`: media goes by UDP alone.
    #[must_use]
    pub fn tcp_port(&self) -> Option<u16> {
        match self.media_tcp_port {
            None => Some(self.media_port),
            Some(0) => None,
            Some(port) => Some(port),
        }
    }

    /// The settings of looking at what is shown.
    #[must_use]
    pub fn moderation(&self) -> moderation::Config {
        moderation::Config {
            models_dir: self.models_dir.clone(),
            sampling: self.sample_every_ms > 0,
            ..self.moderation.clone()
        }
    }

    /// The file of an SQLite database; `None` with PostgreSQL.
    #[must_use]
    pub fn sqlite_file(&self) -> Option<PathBuf> {
        let url = self.store().url;
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return None;
        }
        let path = url.strip_prefix("sqlite:").unwrap_or(&url);
        Some(path.strip_prefix("//").unwrap_or(path).into())
    }

    /// What this deployment offers, with what other settings switch off.
    #[must_use]
    pub fn features(&self) -> Features {
        let off = [
            (Feature::Recording, self.recording.enabled),
            (Feature::Files, self.files.uploads),
            (Feature::Previews, self.previews.enabled),
        ];
        off.into_iter().filter(|(_, on)| !on).fold(self.features, |all, (feature, _)| all.with(feature, false))
    }

    /// The clusters of this deployment.
    ///
    /// # Errors
    /// When their file, or the database of countries, cannot be used.
    pub fn clusters(&self) -> Result<clusters::Clusters, clusters::Error> {
        clusters::Clusters::open(self.clusters_file.as_deref(), &self.geo, self.features())
    }

    /// The settings of logins, with the addresses that many people share.
    #[must_use]
    pub fn auth(&self) -> auth::Config {
        auth::Config { shared: [&self.trusted_proxies[..], &self.limit_exempt].concat(), ..self.auth.clone() }
    }

    /// The settings of rooms, with whether anybody looks at pictures.
    #[must_use]
    pub fn rooms(&self) -> rooms::Config {
        rooms::Config { sampled: self.sample_every_ms > 0, ..self.rooms.clone() }
    }

    /// The rates, with those who are exempt.
    #[must_use]
    pub fn limits(&self) -> limit::Config {
        limit::Config { exempt: self.limit_exempt.clone(), ..self.limit.clone() }
    }

    /// Do people reach the page over https, by our TLS or that of a proxy in front?
    #[must_use]
    pub fn is_public_https(&self) -> bool {
        self.is_tls() || self.public_url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }

    /// The host in `public_url`: the name in the certificate, mostly.
    #[must_use]
    pub fn public_host(&self) -> Option<String> {
        let (_, rest) = self.public_url.as_deref()?.split_once("://")?;
        let host = rest.split('/').next()?;
        let bracketed = host.find(']').map_or(host.find(':'), |end| Some(end + 1));
        Some(host[..bracketed.unwrap_or(host.len())].to_owned()).filter(|host| !host.is_empty())
    }

    /// Is the page served over https?
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls == Tls::SelfSigned || self.tls_cert.is_some()
    }

    /// The address of the page for a server that listens at `bound`.
    #[must_use]
    pub fn page_url(&self, bound: SocketAddr) -> String {
        if let Some(url) = &self.public_url {
            return url.trim_end_matches('/').to_owned();
        }
        let scheme = if self.is_tls() { "https" } else { "http" };
        let port = bound.port();
        match bound.ip() {
            // A browser counts localhost as secure, so cameras work there without TLS.
            ip if ip.is_unspecified() || ip.is_loopback() => format!("{scheme}://localhost:{port}"),
            IpAddr::V6(ip) => format!("{scheme}://[{ip}]:{port}"),
            IpAddr::V4(ip) => format!("{scheme}://{ip}:{port}"),
        }
    }
}

/// A port, or `off`, which is 0.
fn port_or_off<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u16>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Port {
        // YAML-like sources and some environment readers turn `off` into a boolean.
        Switch(bool),
        Number(u16),
        Text(String),
    }
    match Option::<Port>::deserialize(from)? {
        None | Some(Port::Switch(true)) => Ok(None),
        Some(Port::Switch(false)) => Ok(Some(0)),
        Some(Port::Number(port)) => Ok(Some(port)),
        Some(Port::Text(text)) if matches!(text.trim(), "off" | "none") => Ok(Some(0)),
        Some(Port::Text(text)) => text
            .trim()
            .parse()
            .map(Some)
            .map_err(|_| serde::de::Error::custom(format!("{text:?} is neither a port nor off"))),
    }
}

/// A list, or one line with commas (an environment variable has no lists). A network may be written as a lone address.
fn list<'de, D: Deserializer<'de>, T: Item>(from: D) -> Result<Vec<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum List {
        Items(Vec<String>),
        Line(String),
    }
    let items = match List::deserialize(from)? {
        List::Items(items) => items,
        List::Line(line) => line.split(',').map(String::from).collect(),
    };
    let items = items.iter().map(|item| item.trim()).filter(|item| !item.is_empty());
    items.map(|item| T::read(item).map_err(serde::de::Error::custom)).collect()
}

/// What stands in a list of the configuration.
trait Item: Sized {
    fn read(text: &str) -> Result<Self, String>;
}

impl Item for String {
    fn read(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Item for IpAddr {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{text:?} is not an IP address"))
    }
}

impl Item for IpNet {
    fn read(text: &str) -> Result<Self, String> {
        let lone = || text.parse::<IpAddr>().map(IpNet::from);
        text.parse()
            .or_else(|_| lone())
            .map_err(|_| format!("{text:?} is neither an IP address nor a CIDR such as 10.0.0.0/8"))
    }
}

#[cfg(test)]
mod tests;
