//! The file of clusters (TOML).
//!
//! ```toml
//! [[clusters]]
//! id = "lounge"
//! name = "The Lounge"
//! hosts = ["lounge.example.org"]
//! max_content_level = "mature"
//! features = { matching = false }
//! geo = { allow = ["DE", "AT"], unknown = "deny" }
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;
use toml::Spanned;

use super::plain_host;
use crate::domain::{
    ContentLevel,
    cluster::{Cluster, ClusterId, Countries, Country, Geo, ModerationLevel, Theme},
    feature::{Feature, Features},
};

/// Clusters of one deployment: each is a product of its own, and a page of them is looked through at each start.
const CLUSTERS_LIMIT: usize = 1_000;
/// The longest name of a cluster, in characters.
const NAME_LIMIT: usize = 100;
/// How old people have to be whatever a file says, in years.
const LEAST_AGE: u8 = 18;
/// Beyond this nobody could enter.
const MOST_AGE: u8 = 99;

/// What a file says, checked.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) clusters: Vec<Cluster>,
    pub(super) by_host: HashMap<String, usize>,
    pub(super) otherwise: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    clusters: Vec<WrittenCluster>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCluster {
    id: Spanned<ClusterId>,
    name: Option<Spanned<String>>,
    hosts: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    theme: Theme,
    max_content_level: Option<ContentLevel>,
    #[serde(default)]
    features: BTreeMap<Feature, Spanned<bool>>,
    #[serde(default)]
    moderation_level: ModerationLevel,
    min_age: Option<Spanned<u8>>,
    geo: Option<Spanned<WrittenGeo>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenGeo {
    allow: Option<BTreeSet<Country>>,
    deny: Option<BTreeSet<Country>>,
    #[serde(default)]
    unknown: Unknown,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unknown {
    #[default]
    Allow,
    Deny,
}

/// Reads a file's text. The error says the line, and what would be right.
pub(super) fn read(text: &str, deployment: Features) -> Result<Read, String> {
    let written: Written = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
    let at = |span: std::ops::Range<usize>, why: String| {
        let line = text.get(..span.start).unwrap_or(text).matches('\n').count() + 1;
        format!("line {line}: {why}")
    };
    if written.clusters.is_empty() || written.clusters.len() > CLUSTERS_LIMIT {
        return Err(at(0..0, format!("it names no cluster, or more than {CLUSTERS_LIMIT}")));
    }
    let mut read = Read { clusters: Vec::new(), by_host: HashMap::new(), otherwise: None };
    for (number, one) in written.clusters.into_iter().enumerate() {
        let (span, id) = (one.id.span(), one.id.as_ref());
        if read.clusters.iter().any(|other| other.id == *id) {
            return Err(at(span, format!("there are two clusters \"{id}\"")));
        }
        match &one.hosts {
            None if read.otherwise.is_some() => {
                return Err(at(
                    span,
                    "two clusters have no hosts, so nobody knows whom other hosts belong to".to_owned(),
                ));
            }
            None => read.otherwise = Some(number),
            Some(hosts) => {
                for host in hosts {
                    let plain = plain_host(host.as_ref());
                    if plain != *host.as_ref() || plain.is_empty() || plain.contains('/') {
                        return Err(at(
                            host.span(),
                            "a host has small letters and no port, such as \"a.example\"".into(),
                        ));
                    }
                    if read.by_host.insert(plain, number).is_some() {
                        return Err(at(host.span(), format!("two clusters have the host \"{}\"", host.as_ref())));
                    }
                }
            }
        }
        let number = u16::try_from(number).map_err(|error| error.to_string())?;
        read.clusters.push(cluster(one, number, deployment).map_err(|(span, why)| at(span, why))?);
    }
    Ok(read)
}

type Wrong = (std::ops::Range<usize>, String);

fn cluster(one: WrittenCluster, number: u16, deployment: Features) -> Result<Cluster, Wrong> {
    let usual = Cluster::default();
    let id = one.id.into_inner();
    let mut features = deployment;
    for (feature, on) in one.features {
        if *on.as_ref() && Feature::UNBUILT.contains(&feature) {
            return Err((on.span(), format!("this version has no {}", feature.as_str())));
        }
        // What the deployment does not offer, no cluster does.
        features = features.with(feature, *on.as_ref() && deployment.is_on(feature));
    }
    if let Some(name) = &one.name {
        let length = name.as_ref().trim().chars().count();
        if !(1..=NAME_LIMIT).contains(&length) || name.as_ref().chars().any(char::is_control) {
            return Err((name.span(), format!("a cluster's name has 1 to {NAME_LIMIT} characters")));
        }
    }
    if let Some(age) = one.min_age.as_ref().filter(|age| !(LEAST_AGE..=MOST_AGE).contains(age.as_ref())) {
        return Err((age.span(), format!("people have to be {LEAST_AGE} to {MOST_AGE} years old")));
    }
    let geo = match one.geo {
        None => Geo::default(),
        Some(geo) => geo_of(geo)?,
    };
    Ok(Cluster {
        name: one.name.map_or_else(|| id.to_string(), |name| name.into_inner().trim().to_owned()),
        id,
        number,
        theme: one.theme,
        max_content_level: one.max_content_level.unwrap_or(usual.max_content_level),
        features,
        moderation_level: one.moderation_level,
        min_age: one.min_age.map_or(LEAST_AGE, Spanned::into_inner),
        geo,
    })
}

fn geo_of(geo: Spanned<WrittenGeo>) -> Result<Geo, Wrong> {
    let span = geo.span();
    let WrittenGeo { allow, deny, unknown } = geo.into_inner();
    let countries = match (allow, deny) {
        (Some(_), Some(_)) => return Err((span, "countries are allowed or denied, not both".to_owned())),
        (Some(these), None) if these.is_empty() => {
            return Err((span, "no country is allowed, so nobody could enter".to_owned()));
        }
        (Some(these), None) => Countries::Only(these),
        (None, Some(these)) => Countries::But(these),
        (None, None) => {
            return Err((span, "it says neither which countries are allowed nor which are denied".to_owned()));
        }
    };
    Ok(Geo { countries, unknown: matches!(unknown, Unknown::Allow) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r##"
[[clusters]]
id = "lounge"
name = "The Lounge"
hosts = ["lounge.example", "www.lounge.example"]
max_content_level = "mature"
moderation_level = "strict"
min_age = 21
features = { matching = false, recording = true }
theme = { accent = "#FF0050", logo = "/brand/lounge.svg" }
geo = { allow = ["de", "AT"], unknown = "deny" }

[[clusters]]
id = "rest"
geo = { deny = ["US"] }
"##;

    #[test]
    fn a_file_says_all_of_it() {
        let deployment = Features::default().with(Feature::Recording, false);
        let Read { clusters, by_host, otherwise } = read(TWO, deployment).unwrap();
        assert_eq!((by_host["www.lounge.example"], otherwise), (0, Some(1)));
        let lounge = &clusters[0];
        assert_eq!((lounge.id.as_str(), lounge.name.as_str(), lounge.min_age), ("lounge", "The Lounge", 21));
        assert_eq!(
            (lounge.max_content_level, lounge.moderation_level),
            (ContentLevel::Mature, ModerationLevel::Strict)
        );
        assert!(!lounge.features.is_on(Feature::Matching) && lounge.features.is_on(Feature::Files));
        // A cluster offers no more than its deployment.
        assert!(!lounge.features.is_on(Feature::Recording));
        assert!(!lounge.geo.admits(None) && lounge.geo.admits(Country::parse("AT")));
        let rest = &clusters[1];
        assert_eq!((rest.name.as_str(), rest.number, rest.min_age), ("rest", 1, 18));
        assert!(rest.geo.admits(None) && !rest.geo.admits(Country::parse("US")));
    }

    #[test]
    fn what_cannot_be_is_told_with_its_line() {
        let wrong = |text: &str| read(text, Features::default()).unwrap_err();
        let line = "[[clusters]]\nid = \"a\"\n";
        for (more, line, why) in [
            ("hosts = [\"a.example:80\"]", "line 3", "no port"),
            ("hosts = [\"x\"]\n[[clusters]]\nid = \"b\"\nhosts = [\"x\"]", "line 6", "two clusters have the host"),
            ("[[clusters]]\nid = \"b\"", "line 4", "have no hosts"),
            ("[[clusters]]\nid = \"a\"\nhosts = []", "line 4", "two clusters \"a\""),
            ("min_age = 16", "line 3", "18 to 99"),
            ("name = \"\"", "line 3", "1 to 100"),
            ("features = { gifts = true }", "line 3", "no gifts"),
            ("features = { dancing = true }", "line 3", "dancing"),
            ("colour = \"red\"", "line 3", "colour"),
            ("theme = { accent = \"red\" }", "line 3", "#rrggbb"),
            ("max_content_level = \"wild\"", "line 3", "wild"),
            ("geo = { allow = [\"Germany\"] }", "line 3", "two letters"),
            ("geo = { allow = [\"DE\"], deny = [\"US\"] }", "line 3", "not both"),
            ("geo = { allow = [] }", "line 3", "nobody could enter"),
            ("geo = { unknown = \"deny\" }", "line 3", "neither"),
        ]
        .map(|(more, at, why)| (format!("{line}{more}\n"), at, why))
        {
            let said = wrong(&more);
            assert!(said.contains(line) && said.contains(why), "{more}: {said}");
        }
        assert!(wrong("").contains("no cluster"));
        assert!(wrong("[[clusters]]\nid = \"A B\"\n").contains("line 2"));
    }
}
