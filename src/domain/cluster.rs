//! Clusters: tenants of one deployment, each with its own people and rooms.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{ContentLevel, Refusal, RoomKind, SiteRole, feature::Features};

/// The longest id of a cluster, in bytes.
const ID_LIMIT: usize = 32;

/// A cluster's name for programs: small letters, digits and dashes. Whoever and whatever is not told to belong to another one
/// belongs to `default`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(Arc<str>);

/// A part of a deployment with people and rooms of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Which.
    pub id: ClusterId,
    /// Which of the file's, counted from 0: the same on every node that has the same file.
    pub number: u16,
    /// Its name for people.
    pub name: String,
    /// What its page looks like.
    pub theme: Theme,
    /// The most that is shown and said in its rooms.
    pub max_content_level: ContentLevel,
    /// What it offers.
    pub features: Features,
    /// How strictly texts are held.
    pub moderation_level: ModerationLevel,
    /// How old one has to be, in years; 18 or more.
    pub min_age: u8,
    /// From which countries one may enter.
    pub geo: Geo,
}

/// What of somebody's cluster decides about what they ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tenant {
    /// Which.
    pub id: ClusterId,
    /// Which of the file's.
    pub number: u16,
    /// The most that is shown and said in its rooms.
    pub max_content_level: ContentLevel,
    /// What it offers.
    pub features: Features,
}

/// What a cluster's page looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Theme {
    /// The colour of what is to be pressed, as `#rrggbb`.
    #[schema(required, example = "#ff0050")]
    pub accent: Option<Colour>,
    /// The colour behind everything.
    #[schema(required)]
    pub background: Option<Colour>,
    /// The colour of text.
    #[schema(required)]
    pub text: Option<Colour>,
    /// The path of the logo on this server.
    #[schema(required, example = "/brand/logo.svg")]
    pub logo: Option<LogoPath>,
}

/// A colour as `#rrggbb`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(value_type = String, pattern = "^#[0-9a-f]{6}$")]
pub struct Colour(String);

/// The path of a picture on this server: the page's policy lets none of elsewhere in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(value_type = String)]
pub struct LogoPath(String);

/// How strictly texts are held.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum ModerationLevel {
    /// Illegal content only.
    None,
    /// What is almost certainly harmful.
    Low,
    /// The usual.
    #[default]
    Medium,
    /// More than that.
    High,
    /// Messages are held until they are looked at.
    Strict,
}

/// From which countries one may enter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Geo {
    /// Which.
    pub countries: Countries,
    /// Whether one may whose country is not known.
    pub unknown: bool,
}

/// A list of countries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Countries {
    /// All of them.
    #[default]
    All,
    /// These alone.
    Only(BTreeSet<Country>),
    /// All but these.
    But(BTreeSet<Country>),
}

/// A country by its two letters (ISO 3166-1 alpha-2), in upper case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Default for Cluster {
    fn default() -> Self {
        Self {
            id: ClusterId::default(),
            number: 0,
            name: "Parlor".to_owned(),
            theme: Theme::default(),
            max_content_level: ContentLevel::Extreme,
            features: Features::default(),
            moderation_level: ModerationLevel::default(),
            min_age: 18,
            geo: Geo::default(),
        }
    }
}

impl Default for Tenant {
    fn default() -> Self {
        Cluster::default().tenant()
    }
}

impl Default for Geo {
    fn default() -> Self {
        Self { countries: Countries::All, unknown: true }
    }
}

impl Cluster {
    /// What of it decides about what its people ask for.
    pub fn tenant(&self) -> Tenant {
        let Self { id, number, max_content_level, features, .. } = self;
        Tenant { id: id.clone(), number: *number, max_content_level: *max_content_level, features: *features }
    }
}

impl Tenant {
    /// Whether its people see rooms of that level.
    pub fn shows(&self, level: ContentLevel) -> bool {
        level <= self.max_content_level
    }

    /// Refuses one of its people a room: `not_found` that of another cluster, unless they keep order on the whole site, and one above
    /// the level; `feature_off` a kind that is switched off.
    ///
    /// # Errors
    /// `not_found`, `feature_off`.
    pub fn admit(&self, role: SiteRole, room: &ClusterId, kind: RoomKind, level: ContentLevel) -> Result<(), Refusal> {
        let keeps_order = role >= SiteRole::Moderator;
        if !keeps_order && (*room != self.id || !self.shows(level)) {
            return Err(Refusal::NotFound);
        }
        self.features.demand_kind(kind)
    }
}

impl Geo {
    /// Whether one may enter from there; `None`: nobody knows from where.
    pub fn admits(&self, country: Option<Country>) -> bool {
        match (&self.countries, country) {
            (Countries::All, _) => true,
            (_, None) => self.unknown,
            (Countries::Only(these), Some(country)) => these.contains(&country),
            (Countries::But(these), Some(country)) => !these.contains(&country),
        }
    }
}

impl ClusterId {
    /// The id itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of that text, if it is one.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        ((1..=ID_LIMIT).contains(&text.len()) && text.bytes().all(plain)).then(|| Self(text.into()))
    }
}

impl Default for ClusterId {
    fn default() -> Self {
        Self("default".into())
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for ClusterId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ClusterId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let why = "an id of a cluster has 1 to 32 small letters, digits and dashes";
        Self::parse(&text).ok_or_else(|| de::Error::custom(why))
    }
}

impl Country {
    /// The country of these two letters, whatever their case.
    pub fn parse(text: &str) -> Option<Self> {
        let letters: [u8; 2] = text.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_alphabetic).then(|| Self(letters.map(|letter| letter.to_ascii_uppercase())))
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("a country has two letters (ISO 3166-1), such as \"DE\""))
    }
}

impl<'de> Deserialize<'de> for Colour {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?.to_ascii_lowercase();
        let is_colour = text.len() == 7 && text.starts_with('#') && text.bytes().skip(1).all(|b| b.is_ascii_hexdigit());
        if is_colour { Ok(Self(text)) } else { Err(de::Error::custom("a colour is written \"#rrggbb\"")) }
    }
}

impl<'de> Deserialize<'de> for LogoPath {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
        // Two slashes at the beginning would name another server.
        let is_path =
            text.starts_with('/') && !text.starts_with("//") && !text.contains("..") && text.bytes().all(plain);
        let why = "a logo is a path on this server, such as \"/brand/logo.svg\"";
        if is_path { Ok(Self(text)) } else { Err(de::Error::custom(why)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_countries_colours_and_logos_are_what_they_should_be() {
        for bad in ["", "A", "a b", "ä", &"x".repeat(33)] {
            assert_eq!(ClusterId::parse(bad), None, "{bad}");
        }
        assert_eq!(ClusterId::parse("fanz-1").unwrap().as_str(), "fanz-1");
        assert_eq!(Country::parse("de"), Country::parse("DE"));
        assert!(Country::parse("D").is_none() && Country::parse("D1").is_none() && Country::parse("DEU").is_none());
        let theme = |text: &str| serde_json::from_str::<Theme>(text);
        assert!(theme(r##"{"accent": "#FF0050", "logo": "/brand/logo.svg"}"##).is_ok());
        for bad in [
            r##"{"accent": "red"}"##,
            r##"{"accent": "#ff005"}"##,
            r##"{"logo": "//evil.example/x.png"}"##,
            r##"{"logo": "https://evil.example"}"##,
            r##"{"logo": "/../secret"}"##,
            r##"{"font": "Comic Sans"}"##,
        ] {
            assert!(theme(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn countries_are_let_in_by_list() {
        let [de, fr] = ["DE", "FR"].map(|it| Country::parse(it).unwrap());
        let only = Geo { countries: Countries::Only([de].into()), unknown: false };
        assert!(only.admits(Some(de)) && !only.admits(Some(fr)) && !only.admits(None));
        let but = Geo { countries: Countries::But([de].into()), unknown: true };
        assert!(!but.admits(Some(de)) && but.admits(Some(fr)) && but.admits(None));
        assert!(Geo::default().admits(None));
    }

    #[test]
    fn a_room_of_another_cluster_or_above_the_level_is_not_there() {
        let mild = Tenant { max_content_level: ContentLevel::Mature, ..Tenant::default() };
        let other = ClusterId::parse("other").unwrap();
        let asked = |role, room: &ClusterId, level| mild.admit(role, room, RoomKind::Group, level);
        assert_eq!(asked(SiteRole::Member, &mild.id, ContentLevel::Mature), Ok(()));
        assert_eq!(asked(SiteRole::Member, &mild.id, ContentLevel::Adult), Err(Refusal::NotFound));
        assert_eq!(asked(SiteRole::Member, &other, ContentLevel::General), Err(Refusal::NotFound));
        assert_eq!(asked(SiteRole::Moderator, &other, ContentLevel::Adult), Ok(()));
    }
}
