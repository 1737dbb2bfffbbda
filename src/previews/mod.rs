//! What a link leads to, in a few words: looked up by the server, so that no page learns who reads a message. Off unless the operator
//! wants it: a server that opens what strangers name must not be led to what only it can reach.
//!
//! Every address is resolved once, checked, and connected to as it was checked; so is that of each redirection.

mod address;
mod page;

use std::collections::HashMap;
use std::error::Error as StdError;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde::{Deserialize, Deserializer, Serialize};
use tokio::sync::Semaphore;

use crate::domain::{Caller, Refusal};
use crate::limit::{Limits, Rule};

/// Redirections that are followed.
const REDIRECTS: usize = 4;
/// What is read of a page, in bytes: its head is at its beginning.
const PAGE_BYTES: usize = 512 * 1024;
/// Pages that are looked at at once.
const AT_ONCE: usize = 8;
/// How long a page is remembered, and how long one that could not be had is.
const KEPT: Duration = Duration::from_secs(3_600);
const KEPT_FAILED: Duration = Duration::from_secs(300);
/// Pages that are remembered; 3 KB each.
const MOST_KEPT: usize = 2_000;
/// What pages are told about who asks.
const AGENT: &str = concat!("Parlor/", env!("CARGO_PKG_VERSION"), " (link preview)");

/// Settings of previews (`PARLOR_PREVIEWS__…`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether there are any.
    pub enabled: bool,
    /// How long all of one look may take, in milliseconds.
    pub timeout_ms: u64,
    /// Networks of one's own whose pages may be looked at, on any port: an intranet. Every member of the site can then see what they
    /// say.
    #[serde(deserialize_with = "networks")]
    pub own_networks: Vec<IpNet>,
}

impl Default for Config {
    fn default() -> Self {
        Self { enabled: false, timeout_ms: 5_000, own_networks: Vec::new() }
    }
}

/// A list, or one line with commas: an environment variable has no lists.
fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum List {
        Items(Vec<String>),
        Line(String),
    }
    let items = match List::deserialize(from)? {
        List::Items(items) => items,
        List::Line(line) => line.split(',').map(str::to_owned).collect(),
    };
    let items = items.iter().map(|item| item.trim()).filter(|item| !item.is_empty());
    items.map(|item| item.parse().map_err(|_| serde::de::Error::custom(format!("{item:?} is no network")))).collect()
}

/// What a link leads to. All of it is text that a stranger wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// The address that was asked for.
    pub url: String,
    /// The page's title.
    pub title: String,
    /// What it says of itself.
    pub description: Option<String>,
    /// The name of its site.
    pub site_name: Option<String>,
    /// The address of a picture of it, on whatever server: whoever shows it tells that server who looks.
    pub image_url: Option<String>,
}

/// Looks at what links lead to. Clones share it.
#[derive(Clone)]
pub struct Previews(Arc<Inner>);

struct Inner {
    config: Config,
    limits: Limits,
    client: Client,
    places: Semaphore,
    kept: Mutex<HashMap<String, (Instant, Option<Preview>)>>,
}

impl Previews {
    /// Ready to look.
    ///
    /// # Errors
    /// When there is no HTTP client to be had.
    pub fn new(config: Config, limits: Limits) -> Result<Self, reqwest::Error> {
        // The first provider decides for the process; ours is the same everywhere.
        tokio_rustls::rustls::crypto::ring::default_provider().install_default().ok();
        let own = config.own_networks.clone();
        let client = Client::builder()
            .user_agent(AGENT)
            // Each is looked at before it is followed.
            .redirect(Policy::none())
            // A proxy would resolve names by itself.
            .no_proxy()
            .referer(false)
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_millis(config.timeout_ms))
            .dns_resolver(Arc::new(Checked { own }))
            .build()?;
        let kept = Mutex::default();
        Ok(Self(Arc::new(Inner { config, limits, client, places: Semaphore::new(AT_ONCE), kept })))
    }

    /// What a link leads to.
    ///
    /// # Errors
    /// `feature_off`, `rate_limited`, `bad_request` (`url`), `not_found` (nothing can be said of it).
    pub async fn look(&self, caller: &Caller, url: &str) -> Result<Preview, Refusal> {
        if !self.0.config.enabled {
            return Err(Refusal::FeatureOff { feature: "previews" });
        }
        let asked = Url::parse(url).ok().filter(|_| url.len() <= page::URL_LIMIT).and_then(|url| self.may_ask(url));
        let asked = asked
            .ok_or_else(|| Refusal::bad_request("url", "This is no address of a page on the web (http or https)."))?;
        self.0.limits.check(Rule::Preview, caller)?;
        let key = asked.as_str().to_owned();
        if let Some(known) = self.known(&key) {
            return known.ok_or(Refusal::NotFound);
        }
        let timeout = Duration::from_millis(self.0.config.timeout_ms);
        let looking = async {
            let _place = self.0.places.acquire().await.ok()?;
            self.fetch(asked).await
        };
        let found = tokio::time::timeout(timeout, looking).await.ok().flatten();
        let found = found.map(|preview| Preview { url: key.clone(), ..preview });
        self.keep(key, found.clone());
        found.ok_or(Refusal::NotFound)
    }

    fn known(&self, key: &str) -> Option<Option<Preview>> {
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).filter(|(until, _)| *until > Instant::now()).map(|(_, preview)| preview.clone())
    }

    fn keep(&self, key: String, preview: Option<Preview>) {
        let now = Instant::now();
        let until = now + if preview.is_some() { KEPT } else { KEPT_FAILED };
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT {
            kept.retain(|_, (until, _)| *until > now);
        }
        if kept.len() >= MOST_KEPT {
            // All are fresh: any of them goes.
            let any = kept.keys().next().cloned();
            any.and_then(|any| kept.remove(&any));
        }
        kept.insert(key, (until, preview));
    }

    /// The address, if it may be asked: of the web, without a name and a password in it, on a port of the web. Names are resolved and
    /// checked when they are connected to; numbers are checked here, because nobody resolves them.
    fn may_ask(&self, mut url: Url) -> Option<Url> {
        let is_plain =
            matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
        let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_usual = matches!(url.port_or_known_default(), Some(80 | 443));
        let may = match host.parse::<IpAddr>() {
            Ok(number) => is_own(number, &self.0.config.own_networks) || address::is_public(number) && is_usual,
            // Names of one's own network may lead to any port of it; the others are refused when they are resolved.
            Err(_) => is_usual || !self.0.config.own_networks.is_empty(),
        };
        url.set_fragment(None);
        (is_plain && may).then_some(url)
    }

    async fn fetch(&self, mut url: Url) -> Option<Preview> {
        for _ in 0..=REDIRECTS {
            let mut answer =
                self.0.client.get(url.clone()).header(ACCEPT, "text/html,application/xhtml+xml").send().await.ok()?;
            if answer.status().is_redirection() {
                let to = answer.headers().get(LOCATION)?.to_str().ok()?;
                url = self.may_ask(url.join(to).ok()?)?;
                continue;
            }
            let kind = answer.headers().get(CONTENT_TYPE)?.to_str().ok()?.to_ascii_lowercase();
            if !answer.status().is_success()
                || !(kind.starts_with("text/html") || kind.starts_with("application/xhtml"))
            {
                return None;
            }
            let mut bytes = Vec::new();
            while bytes.len() < PAGE_BYTES {
                // A page that breaks off has said something, mostly.
                let Ok(Some(some)) = answer.chunk().await else { break };
                bytes.extend_from_slice(&some[..some.len().min(PAGE_BYTES - bytes.len())]);
            }
            return self.preview_of(&url, &String::from_utf8_lossy(&bytes));
        }
        None
    }

    fn preview_of(&self, url: &Url, html: &str) -> Option<Preview> {
        let page = page::read(html);
        let image = page.image.and_then(|image| url.join(&image).ok()).and_then(|image| self.may_ask(image));
        Some(Preview {
            url: url.to_string(),
            title: page.title?,
            description: page.description,
            site_name: page.site_name,
            image_url: image.map(String::from).filter(|image| image.len() <= page::URL_LIMIT),
        })
    }
}

fn is_own(address: IpAddr, own: &[IpNet]) -> bool {
    let address = address.to_canonical();
    own.iter().any(|network| network.contains(&address))
}

/// Resolves names to addresses that may be asked, and to nothing else. What it gives is what is connected to: there is no second
/// answer that could be another.
struct Checked {
    own: Vec<IpNet>,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let own = self.own.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let may = |it: &SocketAddr| address::is_public(it.ip()) || is_own(it.ip(), &own);
            let checked: Vec<_> = found.filter(may).collect();
            if checked.is_empty() {
                return Err("this name leads to no address that may be asked".into());
            }
            Ok::<Addrs, Box<dyn StdError + Send + Sync>>(Box::new(checked.into_iter()))
        })
    }
}
