//! Who may do what: the one permission table.

use serde::{Deserialize, Serialize};

/// What a person is in one room. A later one may do all that an earlier one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Anybody who joined.
    Member,
    /// A member whom the room trusts: writes faster.
    Trusted,
    /// Keeps order.
    Moderator,
    /// Keeps order and gives roles.
    Admin,
    /// Made the room.
    Owner,
}

/// What a person is on the whole site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum SiteRole {
    /// Anybody who entered.
    Member,
    /// Keeps order everywhere.
    Moderator,
    /// Runs the site.
    Administrator,
}

/// Both roles of a person who wants to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The role in the room in question; `None` outside of it.
    pub room: Option<Role>,
    /// The role on the site.
    pub site: SiteRole,
}

/// Something that a role allows or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Make a room.
    CreateRoom,
    /// Read what was written in a room.
    ReadHistory,
    /// Write into a room.
    SendMessage,
    /// Show that one is typing.
    Type,
    /// Change a message of one's own.
    EditOwnMessage,
    /// Take back a message of one's own.
    DeleteOwnMessage,
    /// Take away somebody else's message.
    DeleteAnyMessage,
    /// Take part in a room's call.
    JoinCall,
    /// Publish in the call of a live room, which others only watch.
    PublishLive,
    /// Make, list and revoke the keys with which programs publish into a room's call and watch it.
    StreamKeys,
    /// Silence somebody's track, or everybody's microphone.
    MuteTrack,
    /// Switch sources off, show one to all, lock, let people in, and put them out of the call for now; only whom one outranks.
    HostCall,
    /// End the call for everybody.
    EndCall,
    /// Start and stop recordings of a room's call, see and delete them.
    Record,
    /// See what everybody's line was like in a room's call. One's own is nobody's to refuse.
    SeeQuality,
    /// Put somebody out of the room for good; only whom one outranks.
    RemoveMember,
    /// Give a role in the room; only one below one's own, to whom one outranks.
    SetMemberRole,
    /// Search for a stranger.
    MeetStrangers,
    /// Report a person or a message.
    Report,
    /// See the cases, what they rest on and what moderators did; take and decide cases about whom one outranks.
    ReviewCases,
    /// Decide what a moderator has left to the administrators.
    DecideEscalated,
    /// Go past the rate limits.
    PassLimits,
    /// Keep somebody out of the site, whom one outranks; let them in again.
    Ban,
    /// Give a role on the site.
    SetSiteRole,
}

/// Per action: the least role in the room, and the least role on the site, that allows it. Either is enough.
const TABLE: [(Action, Option<Role>, Option<SiteRole>); 24] = {
    use Action::{
        Ban, CreateRoom, DecideEscalated, DeleteAnyMessage, DeleteOwnMessage, EditOwnMessage, EndCall, HostCall,
        JoinCall, MeetStrangers, MuteTrack, PassLimits, PublishLive, ReadHistory, Record, RemoveMember, Report,
        ReviewCases, SeeQuality, SendMessage, SetMemberRole, SetSiteRole, StreamKeys, Type,
    };
    [
        (CreateRoom, None, Some(SiteRole::Member)),
        (ReadHistory, Some(Role::Member), Some(SiteRole::Moderator)),
        (SendMessage, Some(Role::Member), None),
        (Type, Some(Role::Member), None),
        (EditOwnMessage, Some(Role::Member), None),
        (DeleteOwnMessage, Some(Role::Member), None),
        (DeleteAnyMessage, Some(Role::Moderator), Some(SiteRole::Moderator)),
        (JoinCall, Some(Role::Member), None),
        (PublishLive, Some(Role::Moderator), Some(SiteRole::Moderator)),
        (StreamKeys, Some(Role::Moderator), Some(SiteRole::Moderator)),
        (MuteTrack, Some(Role::Moderator), Some(SiteRole::Moderator)),
        (HostCall, Some(Role::Moderator), Some(SiteRole::Moderator)),
        (EndCall, Some(Role::Admin), Some(SiteRole::Moderator)),
        (Record, Some(Role::Moderator), Some(SiteRole::Moderator)),
        (SeeQuality, Some(Role::Moderator), Some(SiteRole::Moderator)),
        (RemoveMember, Some(Role::Moderator), Some(SiteRole::Moderator)),
        (SetMemberRole, Some(Role::Admin), Some(SiteRole::Administrator)),
        (MeetStrangers, None, Some(SiteRole::Member)),
        (Report, None, Some(SiteRole::Member)),
        (ReviewCases, None, Some(SiteRole::Moderator)),
        (DecideEscalated, None, Some(SiteRole::Administrator)),
        (PassLimits, None, Some(SiteRole::Moderator)),
        (Ban, None, Some(SiteRole::Moderator)),
        (SetSiteRole, None, Some(SiteRole::Administrator)),
    ]
};

/// Whether somebody of this standing may do that.
pub fn can(who: Standing, action: Action) -> bool {
    TABLE.iter().any(|&(listed, room, site)| {
        listed == action
            && (room.is_some_and(|least| who.room.is_some_and(|role| role >= least))
                || site.is_some_and(|least| who.site >= least))
    })
}

impl Standing {
    /// Whether this person stands above somebody in the same room, as removing and giving roles demand. A moderator of
    /// the site stands above everybody who has no role on the site.
    pub fn outranks(self, other: Standing) -> bool {
        if self.site != other.site {
            return self.site > other.site;
        }
        self.site > SiteRole::Moderator || self.room > other.room
    }
}

impl Role {
    /// The name that the database and the wire use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Member => "member",
            Role::Trusted => "trusted",
            Role::Moderator => "moderator",
            Role::Admin => "admin",
            Role::Owner => "owner",
        }
    }

    /// The role of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Role::Member, Role::Trusted, Role::Moderator, Role::Admin, Role::Owner]
            .into_iter()
            .find(|it| it.as_str() == name)
    }
}

impl SiteRole {
    /// The name that the database and the wire use.
    pub const fn as_str(self) -> &'static str {
        match self {
            SiteRole::Member => "member",
            SiteRole::Moderator => "moderator",
            SiteRole::Administrator => "administrator",
        }
    }

    /// The role of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [SiteRole::Member, SiteRole::Moderator, SiteRole::Administrator].into_iter().find(|it| it.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const ROLES: [Role; 5] = [Role::Owner, Role::Admin, Role::Moderator, Role::Trusted, Role::Member];
    const SITE_ROLES: [SiteRole; 3] = [SiteRole::Member, SiteRole::Moderator, SiteRole::Administrator];

    #[test]
    fn the_permission_table() {
        let mut page = format!("{:18}", "");
        for role in ROLES {
            write!(page, " {:9}", role.as_str()).unwrap();
        }
        page.push_str(" | outside the room:");
        for role in SITE_ROLES {
            write!(page, " {:13}", role.as_str()).unwrap();
        }
        for (action, ..) in TABLE {
            write!(page, "\n{:18}", format!("{action:?}")).unwrap();
            for role in ROLES {
                let allowed = can(Standing { room: Some(role), site: SiteRole::Member }, action);
                write!(page, " {:9}", if allowed { "yes" } else { "-" }).unwrap();
            }
            page.push_str(" |                  ");
            for site in SITE_ROLES {
                let allowed = can(Standing { room: None, site }, action);
                write!(page, " {:13}", if allowed { "yes" } else { "-" }).unwrap();
            }
        }
        let page: Vec<_> = page.lines().map(str::trim_end).collect();
        insta::assert_snapshot!(page.join("\n"));
    }

    #[test]
    fn nobody_outranks_an_equal_except_administrators() {
        let standing = |room, site| Standing { room, site };
        let owner = standing(Some(Role::Owner), SiteRole::Member);
        let moderator = standing(Some(Role::Moderator), SiteRole::Member);
        let guest = standing(None, SiteRole::Moderator);
        assert!(owner.outranks(moderator) && !moderator.outranks(owner) && !moderator.outranks(moderator));
        assert!(guest.outranks(owner) && !owner.outranks(guest));
        assert!(!guest.outranks(guest));
    }

    #[test]
    fn names_come_back() {
        assert!(ROLES.iter().all(|role| Role::parse(role.as_str()) == Some(*role)));
        assert!(SITE_ROLES.iter().all(|role| SiteRole::parse(role.as_str()) == Some(*role)));
        assert_eq!(Role::parse("king"), None);
    }
}
