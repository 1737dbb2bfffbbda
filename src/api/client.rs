//! Who is at the other end of a request: the address to count limits by, and whether the way there is encrypted.

use std::net::IpAddr;

use axum::http::{HeaderMap, header, request};
use ipnet::IpNet;

use super::listen::Wire;
use crate::auth::Site;
use crate::clusters::Clusters;
use crate::config::Config;
use crate::domain::Caller;

/// The other end, behind the proxies that the operator trusts.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// The client's own address, as far as it is known.
    pub(crate) address: IpAddr,
    /// Is the whole way encrypted? Decides on `Secure` cookies and HSTS.
    pub(crate) secure: bool,
    /// Somebody on this machine, as the operator is.
    pub(crate) is_local: bool,
    /// The host and port that the client asked for, if they are well formed.
    pub(crate) host: Option<String>,
    /// What the client says of itself (`User-Agent`).
    pub(crate) agent: Option<String>,
}

impl Client {
    pub(crate) fn of(request: &request::Parts, config: &Config) -> Self {
        // Without a wire (a test that calls the router itself) the request comes from here.
        let wire = request.extensions.get::<Wire>();
        let peer = wire.map_or(IpAddr::from([127, 0, 0, 1]), |wire| wire.peer.ip().to_canonical());
        let proxied = is_in(peer, &config.trusted_proxies);
        let headers = &request.headers;
        let address = if proxied { first_untrusted(headers, peer, &config.trusted_proxies) } else { peer };
        let tls_before_proxy = proxied && headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
        let host = request.uri.authority().map(|host| host.as_str().to_owned()).or_else(|| {
            let host = headers.get(header::HOST)?.to_str().ok()?;
            Some(host.to_owned())
        });
        let host = host.filter(|host| is_host(host));
        let secure = config.is_public_https() || tls_before_proxy;
        // A proxy on this machine that nobody declared must not lend its address to strangers.
        let is_local = peer.is_loopback() && !headers.contains_key("x-forwarded-for");
        let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).map(str::to_owned);
        Self { address, secure, is_local, host, agent }
    }

    /// Somebody who is connected to another node, which knows the rest.
    pub(crate) fn of_guest(caller: &Caller) -> Self {
        Self { address: caller.address, secure: false, is_local: false, host: None, agent: None }
    }

    /// May a page of this origin (the `Origin` header) use our sockets and cookies? No header: no browser, no page, no danger.
    pub(crate) fn may_come_from(&self, headers: &HeaderMap, config: &Config) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        let named = config.allowed_origins.iter().map(String::as_str).chain(config.public_url.as_deref());
        let own = origin.split_once("://").is_some_and(|(_, host)| self.host.as_deref() == Some(host));
        own || named.into_iter().any(|allowed| allowed.trim_end_matches('/').eq_ignore_ascii_case(origin))
    }
}

impl Client {
    /// Where the page is, as browsers bind passkeys to it: a host that a cluster names, or `public_url`, else what the client asked for.
    pub(crate) fn site(&self, config: &Config, clusters: &Clusters) -> Site {
        let scheme = if self.secure { "https" } else { "http" };
        let asked = self.host.as_deref().unwrap_or_default();
        let own = site_of(format!("{scheme}://{asked}"));
        let Some(url) = config.public_url.as_deref() else { return own };
        let end = url.match_indices('/').nth(2).map_or(url.len(), |(at, _)| at);
        let public = site_of(url[..end].to_owned());
        if own.host != public.host && clusters.has_host(asked) { own } else { public }
    }
}

fn site_of(origin: String) -> Site {
    let host = origin.split_once("://").map_or("", |(_, host)| host);
    let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    Site { host, origin }
}

fn is_in(address: IpAddr, networks: &[IpNet]) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// Each proxy appends the address that it saw, so the list is true from its end up to the first stranger; what stands before
/// is the stranger's own claim.
fn first_untrusted(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let mut address = peer;
    let lines = headers.get_all("x-forwarded-for").into_iter().rev();
    for hop in lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.rsplit(',')) {
        let Ok(hop) = hop.trim().parse::<IpAddr>() else { break };
        address = hop.to_canonical();
        if !is_in(address, trusted) {
            break;
        }
    }
    address
}

/// Host and port as they may stand in a header of ours.
fn is_host(text: &str) -> bool {
    !text.is_empty() && text.len() <= 255 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn client(peer: &str, headers: &[(&str, &str)], config: &Config) -> Client {
        let mut request = Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let wire = Wire { peer: peer.parse().unwrap() };
        let (parts, ()) = request.extension(wire).body(()).unwrap().into_parts();
        Client::of(&parts, config)
    }

    fn behind(proxy: &str) -> Config {
        Config { trusted_proxies: vec![proxy.parse().unwrap()], ..Config::default() }
    }

    #[test]
    fn a_stranger_cannot_claim_an_address() {
        let claim = [("x-forwarded-for", "192.0.2.9"), ("x-forwarded-proto", "https")];
        let seen = client("198.51.100.1:1000", &claim, &behind("10.0.0.0/8"));
        assert_eq!((seen.address, seen.secure), ("198.51.100.1".parse().unwrap(), false));
    }

    #[test]
    fn passkeys_are_bound_to_the_page() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clusters.toml");
        std::fs::write(&file, "[[clusters]]\nid = \"lounge\"\nhosts = [\"lounge.example\"]\n").unwrap();
        let clusters = Clusters::open(Some(&file), &Default::default(), Default::default()).unwrap();
        let site =
            |host: &str, config: &Config| client("192.0.2.1:1", &[("host", host)], config).site(config, &clusters);
        let own = site("localhost:3003", &Config::default());
        assert_eq!((own.host.as_str(), own.origin.as_str()), ("localhost", "http://localhost:3003"));
        let config = Config { public_url: Some("https://Chat.example:8443/parlor".into()), ..Config::default() };
        let public = site("10.0.0.1", &config);
        assert_eq!((public.host.as_str(), public.origin.as_str()), ("chat.example", "https://Chat.example:8443"));
        // A cluster's own host is a place of its own.
        let lounge = site("Lounge.example", &config);
        assert_eq!((lounge.host.as_str(), lounge.origin.as_str()), ("lounge.example", "https://Lounge.example"));
    }

    #[test]
    fn a_trusted_proxy_tells_who_asked() {
        let claim = [("x-forwarded-for", "1.1.1.1, 192.0.2.9, 10.0.0.7"), ("x-forwarded-proto", "https")];
        let seen = client("[::ffff:10.0.0.1]:1000", &claim, &behind("10.0.0.0/8"));
        assert_eq!((seen.address, seen.secure), ("192.0.2.9".parse().unwrap(), true));
        let nonsense = client("10.0.0.1:1000", &[("x-forwarded-for", "1.1.1.1, unknown")], &behind("10.0.0.0/8"));
        assert_eq!(nonsense.address, "10.0.0.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn pages_of_this_host_and_of_named_origins_may_come() {
        let config = Config { allowed_origins: vec!["https://chat.example".into()], ..Config::default() };
        let may = |origin: &str| {
            let seen = client("192.0.2.1:1", &[("host", "parlor.example:3003")], &config);
            let headers = HeaderMap::from_iter([(header::ORIGIN, origin.parse().unwrap())]);
            seen.may_come_from(&headers, &config)
        };
        assert!(may("http://parlor.example:3003") && may("https://chat.example"));
        assert!(!may("https://evil.example") && !may("null") && !may("http://parlor.example"));
    }
}
