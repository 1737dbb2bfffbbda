//! What programs act by in somebody's name.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ApiKeyId, Time, UserId};

/// How the secret of a key begins, so that people and scanners know one when they see it.
pub const API_KEY_PREFIX: &str = "prl_";

/// What a key lets a program do, of all that its owner may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub enum Scope {
    /// See rooms, who is there, and what one has not read.
    #[serde(rename = "rooms:read")]
    RoomsRead,
    /// Make, join and leave rooms, invite and ask to join.
    #[serde(rename = "rooms:write")]
    RoomsWrite,
    /// Change rooms and keep order in them: settings, roles, kicks, mutes, bans, invitations of others.
    #[serde(rename = "rooms:manage")]
    RoomsManage,
    /// Read and search what is written, files and direct rooms included, and be told of it by a socket.
    #[serde(rename = "messages:read")]
    MessagesRead,
    /// Write, change and take back messages of one's own, react, vote, type, upload.
    #[serde(rename = "messages:write")]
    MessagesWrite,
    /// Open direct rooms, and answer requests.
    #[serde(rename = "direct:write")]
    DirectWrite,
    /// Take part in calls, and act as their host.
    #[serde(rename = "calls:join")]
    CallsJoin,
    /// See, start, stop and delete recordings.
    #[serde(rename = "recordings:manage")]
    RecordingsManage,
    /// See cases, evidence and the moderation log.
    #[serde(rename = "moderation:read")]
    ModerationRead,
    /// Decide cases, report, and ban.
    #[serde(rename = "moderation:write")]
    ModerationWrite,
    /// See and change webhooks.
    #[serde(rename = "webhooks:manage")]
    WebhooksManage,
    /// What only a person does: logins, passwords, keys, roles on the site, having everything deleted. No key has it.
    #[serde(rename = "account")]
    Account,
}

impl Scope {
    /// All that a key can have.
    pub const ALL: [Scope; 11] = [
        Scope::RoomsRead,
        Scope::RoomsWrite,
        Scope::RoomsManage,
        Scope::MessagesRead,
        Scope::MessagesWrite,
        Scope::DirectWrite,
        Scope::CallsJoin,
        Scope::RecordingsManage,
        Scope::ModerationRead,
        Scope::ModerationWrite,
        Scope::WebhooksManage,
    ];

    /// The name that the database and the wire use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::RoomsRead => "rooms:read",
            Scope::RoomsWrite => "rooms:write",
            Scope::RoomsManage => "rooms:manage",
            Scope::MessagesRead => "messages:read",
            Scope::MessagesWrite => "messages:write",
            Scope::DirectWrite => "direct:write",
            Scope::CallsJoin => "calls:join",
            Scope::RecordingsManage => "recordings:manage",
            Scope::ModerationRead => "moderation:read",
            Scope::ModerationWrite => "moderation:write",
            Scope::WebhooksManage => "webhooks:manage",
            Scope::Account => "account",
        }
    }

    /// The scope of that name, if a key can have it.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }
}

/// Scopes together, each once.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u16);

impl Scopes {
    /// Whether it is among them.
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u16) != 0
    }

    /// Each of them, in the order of the list.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// Reads what [`fmt::Display`] has written. Names that are not known any more give nothing.
    pub fn parse(text: &str) -> Self {
        text.split_ascii_whitespace().filter_map(Scope::parse).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        // What no key can have is left out, whoever asks.
        let scopes = scopes.into_iter().filter(|scope| *scope != Scope::Account);
        Self(scopes.fold(0, |all, scope| all | 1 << scope as u16))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().map(Scope::as_str).collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({self})")
    }
}

/// A key, as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Which.
    pub id: ApiKeyId,
    /// In whose name the program acts.
    pub user: UserId,
    /// What its owner calls it.
    pub name: String,
    /// How its secret begins: enough to know it again, not enough to use it.
    pub prefix: String,
    /// What it is for.
    pub scopes: Scopes,
    /// Since when.
    pub created_at: Time,
    /// Until when; `None`: until it is revoked.
    pub expires_at: Option<Time>,
    /// When it was last used, to a minute.
    pub last_used_at: Option<Time>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_kept_by_name_and_no_key_has_the_account() {
        let scopes: Scopes = [Scope::MessagesWrite, Scope::RoomsRead, Scope::Account].into_iter().collect();
        assert_eq!(scopes.to_string(), "rooms:read messages:write");
        assert_eq!(Scopes::parse("messages:write rooms:read account nothing"), scopes);
        assert!(!scopes.has(Scope::Account) && !Scopes::default().has(Scope::RoomsRead));
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
    }
}
