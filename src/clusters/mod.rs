//! The clusters of this deployment: which of them somebody comes to, and from which countries.
//!
//! They stand in a file of the operator's (`docs/clusters.md`). Without one there is a single cluster, to which everybody and
//! everything belongs.

mod file;
mod geo;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

use crate::domain::{
    Refusal,
    cluster::{Cluster, ClusterId, Countries, Country},
    feature::{Feature, Features},
};
use geo::Atlas;

/// Where addresses are (`PARLOR_GEO__…`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Geo {
    /// A database of countries in MaxMind's format (`GeoLite2-Country.mmdb`). Unset: no country is known.
    pub database: Option<PathBuf>,
}

/// Why the clusters cannot be used; the text is for people.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("the clusters {} (PARLOR_CLUSTERS_FILE) cannot be read: {error}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// What it says cannot be.
    #[error("the clusters {} (PARLOR_CLUSTERS_FILE) cannot be used: {why}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// In which line, and what would be right.
        why: String,
    },
    /// The database of countries cannot be used.
    #[error("the countries {} (PARLOR_GEO__DATABASE) cannot be used: {why}", path.display())]
    Countries {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A feature is switched on that this version does not have.
    #[error("this version has no {} (PARLOR_FEATURES__{}): leave it off", .0.as_str(), .0.as_str().to_uppercase())]
    Unbuilt(Feature),
}

/// The clusters. Clones share them.
#[derive(Clone)]
pub struct Clusters(Arc<Inner>);

struct Inner {
    all: Vec<Arc<Cluster>>,
    by_host: HashMap<String, usize>,
    /// Whoever comes by a host that none claims.
    otherwise: Option<usize>,
    /// There is a file.
    named: bool,
    atlas: Option<Atlas>,
}

impl Default for Clusters {
    fn default() -> Self {
        Self::one(Features::default(), None)
    }
}

impl fmt::Debug for Clusters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all().map(|cluster| &cluster.id)).finish()
    }
}

impl PartialEq for Clusters {
    fn eq(&self, other: &Self) -> bool {
        self.0.all == other.0.all
    }
}

impl Eq for Clusters {}

impl Clusters {
    /// Reads the file, if there is one. `features` are what the deployment offers: a cluster may offer less.
    ///
    /// # Errors
    /// When the file or the database of countries cannot be read or used, or a feature is on that this version does not have.
    pub fn open(file: Option<&std::path::Path>, geo: &Geo, features: Features) -> Result<Self, Error> {
        if let Some(feature) = features.unbuilt() {
            return Err(Error::Unbuilt(feature));
        }
        let atlas = geo.database.as_deref().map(Atlas::open).transpose()?;
        let Some(path) = file else { return Ok(Self::one(features, atlas)) };
        let own = || path.to_owned();
        let text = std::fs::read_to_string(path).map_err(|error| Error::Unreadable { path: own(), error })?;
        let read = file::read(&text, features).map_err(|why| Error::Malformed { path: own(), why })?;
        let file::Read { clusters, by_host, otherwise } = read;
        let all = clusters.into_iter().map(Arc::new).collect();
        Ok(Self(Arc::new(Inner { all, by_host, otherwise, named: true, atlas })))
    }

    /// The one cluster of a deployment without a file.
    fn one(features: Features, atlas: Option<Atlas>) -> Self {
        let all = vec![Arc::new(Cluster { features, ..Cluster::default() })];
        Self(Arc::new(Inner { all, by_host: HashMap::new(), otherwise: Some(0), named: false, atlas }))
    }

    /// The cluster that a host belongs to, as `Host` names it, with or without a port.
    pub fn at(&self, host: Option<&str>) -> Option<&Arc<Cluster>> {
        let claimed = host.and_then(|host| self.0.by_host.get(&plain_host(host)));
        self.0.all.get(*claimed.or(self.0.otherwise.as_ref())?)
    }

    /// Whether one of them has that host by name.
    pub fn has_host(&self, host: &str) -> bool {
        self.0.by_host.contains_key(&plain_host(host))
    }

    /// The cluster of that id.
    pub fn of(&self, id: &ClusterId) -> Option<&Arc<Cluster>> {
        self.all().find(|cluster| cluster.id == *id)
    }

    /// Every cluster, in the order of the file.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Cluster>> {
        self.0.all.iter()
    }

    /// Whether the operator named clusters. If not, nothing can belong to another one.
    pub fn are_named(&self) -> bool {
        self.0.named
    }

    /// Whether a cluster asks for countries that nothing here can tell.
    pub fn lack_countries(&self) -> bool {
        self.0.atlas.is_none() && self.all().any(|cluster| cluster.geo.countries != Countries::All)
    }

    /// Refuses (`geo_blocked`) whoever comes from where a cluster lets nobody in from.
    ///
    /// # Errors
    /// `geo_blocked`.
    pub fn check_country(&self, cluster: &Cluster, address: IpAddr) -> Result<(), Refusal> {
        if cluster.geo.countries == Countries::All || cluster.geo.admits(self.country(address)) {
            return Ok(());
        }
        Err(Refusal::GeoBlocked)
    }

    fn country(&self, address: IpAddr) -> Option<Country> {
        self.0.atlas.as_ref()?.country(address)
    }
}

/// A host without its port, in small letters.
fn plain_host(host: &str) -> String {
    let bracketed = host.find(']').map_or(host.find(':'), |end| Some(end + 1));
    host[..bracketed.unwrap_or(host.len())].trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_known_without_port_and_case() {
        for (said, plain) in [
            ("Chat.Example:8443", "chat.example"),
            ("chat.example.", "chat.example"),
            ("[::1]:3003", "[::1]"),
            ("10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(plain_host(said), plain);
        }
    }

    #[test]
    fn without_a_file_there_is_one_cluster_for_every_host() {
        let clusters = Clusters::default();
        for host in [None, Some("a.example"), Some("b.example:1")] {
            assert_eq!(clusters.at(host).unwrap().id, ClusterId::default());
        }
        assert!(!clusters.are_named() && !clusters.lack_countries());
        assert_eq!(clusters.check_country(clusters.at(None).unwrap(), IpAddr::from([192, 0, 2, 1])), Ok(()));
    }

    #[test]
    fn what_this_version_lacks_cannot_be_switched_on() {
        let features = Features::default().with(Feature::Gifts, true);
        let refused = Clusters::open(None, &Geo::default(), features).unwrap_err().to_string();
        assert_eq!(refused, "this version has no gifts (PARLOR_FEATURES__GIFTS): leave it off");
    }
}
