//! What a link leads to, in a few words: looked up by the server, so that no page learns who reads a message. Off unless the operator
//! wants it: a server that opens what strangers name must not be led to what only it can reach.
//!
//! Every address is resolved once, checked, and connected to as it was checked; so is that of each redirection.

mod address;
mod page;

pub(crate) use address::is_public;

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

use crate::domain::{Caller, Refusal, feature::Feature};
use crate::limit::{Limits, Rule};
use crate::metrics::PREVIEWS;

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
    /// How long all of one look may take once it has its turn, and how long it waits for that, in milliseconds.
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
pub(crate) fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
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
    /// For ports that are not of the web: it reaches one's own networks alone.
    own_client: Client,
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
        let client = client_of(&config, true)?;
        let own_client = client_of(&config, false)?;
        let kept = Mutex::default();
        Ok(Self(Arc::new(Inner { config, limits, client, own_client, places: Semaphore::new(AT_ONCE), kept })))
    }

    /// What a link leads to.
    ///
    /// # Errors
    /// `feature_off`, `rate_limited`, `bad_request` (`url`), `not_found` (nothing can be said of it), `unavailable` (too many are
    /// looked at).
    pub async fn look(&self, caller: &Caller, url: &str) -> Result<Preview, Refusal> {
        if !self.0.config.enabled {
            return Err(Refusal::FeatureOff { feature: "previews" });
        }
        caller.demand(Feature::Previews)?;
        let asked = Url::parse(url).ok().filter(|_| url.len() <= page::URL_LIMIT).and_then(|url| self.may_ask(url));
        let asked = asked
            .ok_or_else(|| Refusal::bad_request("url", "This is no address of a page on the web (http or https)."))?;
        self.0.limits.check(Rule::Preview, caller)?;
        let key = asked.as_str().to_owned();
        if let Some(known) = self.known(&key) {
            count("known");
            return known.ok_or(Refusal::NotFound);
        }
        let timeout = Duration::from_millis(self.0.config.timeout_ms);
        let Ok(Ok(_place)) = tokio::time::timeout(timeout, self.0.places.acquire()).await else {
            // That says nothing of the page.
            count("busy");
            return Err(Refusal::Unavailable { what: "What this link leads to" });
        };
        let found = tokio::time::timeout(timeout, self.fetch(asked)).await.ok().flatten();
        let found = found.map(|preview| Preview { url: key.clone(), ..preview });
        count(if found.is_some() { "found" } else { "nothing" });
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
        let is_usual = is_usual(&url);
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
            let client = if is_usual(&url) { &self.0.client } else { &self.0.own_client };
            let mut answer =
                client.get(url.clone()).header(ACCEPT, "text/html,application/xhtml+xml").send().await.ok()?;
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

fn client_of(config: &Config, is_public: bool) -> Result<Client, reqwest::Error> {
    Client::builder()
        .user_agent(AGENT)
        // Each is looked at before it is followed.
        .redirect(Policy::none())
        // A proxy would resolve names by itself.
        .no_proxy()
        .referer(false)
        .pool_max_idle_per_host(0)
        .timeout(Duration::from_millis(config.timeout_ms))
        .dns_resolver(Arc::new(Checked { is_public, own: config.own_networks.clone() }))
        .build()
}

fn count(result: &'static str) {
    metrics::counter!(PREVIEWS, "result" => result).increment(1);
}

/// Whether it is on a port of the web.
fn is_usual(url: &Url) -> bool {
    matches!(url.port_or_known_default(), Some(80 | 443))
}

/// Whether an address is of one of these networks.
pub(crate) fn is_own(address: IpAddr, own: &[IpNet]) -> bool {
    let address = address.to_canonical();
    own.iter().any(|network| network.contains(&address))
}

/// Resolves names to addresses that may be asked, and to nothing else. What it gives is what is connected to: there is no second
/// answer that could be another.
pub(crate) struct Checked {
    /// Whether public addresses may be asked.
    is_public: bool,
    own: Vec<IpNet>,
}

impl Checked {
    /// Resolves to public addresses, if that is wanted, and to those of these networks.
    pub(crate) fn new(is_public: bool, own: Vec<IpNet>) -> Self {
        Self { is_public, own }
    }
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (is_public, own) = (self.is_public, self.own.clone());
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let may = |it: &SocketAddr| is_public && address::is_public(it.ip()) || is_own(it.ip(), &own);
            let checked: Vec<_> = found.filter(may).collect();
            if checked.is_empty() {
                return Err("this name leads to no address that may be asked".into());
            }
            Ok::<Addrs, Box<dyn StdError + Send + Sync>>(Box::new(checked.into_iter()))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::domain::{FamilyId, SiteRole, Time, User, UserId};
    use crate::limit;

    fn caller() -> Caller {
        let user = User { id: UserId::new(), nickname: "ada".to_owned(), role: SiteRole::Member, bot: false };
        Caller {
            user,
            known_since: Time::now(),
            family: FamilyId::new(),
            address: Ipv4Addr::LOCALHOST.into(),
            cluster: Default::default(),
        }
    }

    #[tokio::test]
    async fn other_ports_lead_to_ones_own_networks_alone() {
        let own = vec!["127.0.0.0/8".parse().unwrap()];
        let resolve = async |is_public, name: &str| {
            let checked = Checked { is_public, own: own.clone() };
            checked.resolve(name.parse().unwrap()).await.is_ok()
        };
        // Numbers are names that nobody has to be asked about.
        assert!(resolve(true, "1.1.1.1").await && resolve(true, "127.0.0.1").await);
        assert!(!resolve(false, "1.1.1.1").await && resolve(false, "127.0.0.1").await);
        assert!(!resolve(true, "10.0.0.1").await && !resolve(false, "10.0.0.1").await);
    }

    #[tokio::test]
    async fn who_only_waited_learned_nothing_of_the_page() {
        let config = Config { enabled: true, timeout_ms: 10, ..Config::default() };
        let previews = Previews::new(config, Limits::new(limit::Config::default())).unwrap();
        let _all = previews.0.places.acquire_many(AT_ONCE as u32).await.unwrap();
        let looked = previews.look(&caller(), "http://192.0.2.1/").await;
        assert!(matches!(looked, Err(Refusal::BadRequest { .. })), "{looked:?}: it is no public address");
        let looked = previews.look(&caller(), "http://example.org/").await;
        assert!(matches!(looked, Err(Refusal::Unavailable { .. })), "{looked:?}");
        assert!(previews.0.kept.lock().unwrap().is_empty());
    }
}
