//! Who may do what: the one permission table.
//!
//! Seven effective roles. Five are on one axis, from member to owner; muted and banned are on the other, each until a moment, and
//! take away what the first axis gives.

use serde::{Deserialize, Serialize};

use super::{Refusal, RoomKind, Time};

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

/// What a person is who wants to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The role in the room in question; `None` outside of it.
    pub room: Option<Role>,
    /// The role on the site.
    pub site: SiteRole,
    /// Until when they have no voice in the room; what is over counts no more. Who is banned from the room has no standing in it.
    pub muted_until: Option<Time>,
}

/// The least role in a room for what its owners may narrow. They cannot widen what the table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Permits {
    /// Who writes.
    pub post: Role,
    /// Who takes part in the call.
    pub call: Role,
    /// Who shows their screen.
    pub share: Role,
    /// Who records; a moderator at least.
    pub record: Role,
    /// Who invites.
    pub invite: Role,
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
    /// Show one's screen in a room's call.
    ShareScreen,
    /// Put an emoji to a message, or take one's own away.
    React,
    /// Send files along with messages.
    Upload,
    /// Ask a question with answers to choose from.
    MakePoll,
    /// Choose an answer, or take one's choice back.
    Vote,
    /// See what a message said before it was changed.
    ReadVersions,
    /// Call everybody in the room by one word.
    MentionEverybody,
    /// Keep a message in view, or no more.
    PinMessage,
    /// Close a thread to further messages, or open it again.
    LockThread,
    /// See who belongs to the room.
    ListMembers,
    /// Make links by which others come in; see and revoke one's own.
    Invite,
    /// See and revoke everybody's links.
    SeeInvites,
    /// Let in who asked to be, or not.
    AnswerRequests,
    /// Put somebody out of the room, who may come back; only whom one outranks.
    KickMember,
    /// Take somebody's voice for a time, or give it back; only whom one outranks.
    MuteMember,
    /// Keep somebody out of the room, for a time or for good; only whom one outranks. Let them come back; see who is kept out.
    RemoveMember,
    /// Change what the room is like.
    EditRoom,
    /// Make a member the owner in one's place.
    TransferRoom,
    /// Put the room away, to be read only, and take it out again.
    ArchiveRoom,
    /// Delete the room with all that is in it.
    DeleteRoom,
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
    /// Say by what somebody's age is known.
    VerifyAge,
    /// Give a role on the site.
    SetSiteRole,
    /// Say where a room's events are sent to; for all rooms, outside of any.
    Webhooks,
    /// Make bots, and keys for them.
    ManageBots,
}

/// Per action: the least role in the room, and the least role on the site, that allows it. Either is enough.
const TABLE: &[(Action, Option<Role>, Option<SiteRole>)] = {
    use Action::*;
    const MEMBER: Option<Role> = Some(Role::Member);
    const MODERATOR: Option<Role> = Some(Role::Moderator);
    const ADMIN: Option<Role> = Some(Role::Admin);
    const OWNER: Option<Role> = Some(Role::Owner);
    const ANYBODY: Option<SiteRole> = Some(SiteRole::Member);
    const SITE: Option<SiteRole> = Some(SiteRole::Moderator);
    const TOP: Option<SiteRole> = Some(SiteRole::Administrator);
    &[
        (CreateRoom, None, ANYBODY),
        (ReadHistory, MEMBER, SITE),
        (ListMembers, MEMBER, SITE),
        (SendMessage, MEMBER, None),
        (Type, MEMBER, None),
        (React, MEMBER, None),
        (Upload, MEMBER, None),
        (MakePoll, MEMBER, None),
        (Vote, MEMBER, None),
        (ReadVersions, MODERATOR, SITE),
        (MentionEverybody, MODERATOR, None),
        (EditOwnMessage, MEMBER, None),
        (DeleteOwnMessage, MEMBER, None),
        (DeleteAnyMessage, MODERATOR, SITE),
        (PinMessage, MODERATOR, None),
        (LockThread, MODERATOR, SITE),
        (JoinCall, MEMBER, None),
        (ShareScreen, MEMBER, None),
        (PublishLive, MODERATOR, SITE),
        (StreamKeys, MODERATOR, SITE),
        (MuteTrack, MODERATOR, SITE),
        (HostCall, MODERATOR, SITE),
        (EndCall, ADMIN, SITE),
        (Record, MODERATOR, SITE),
        (SeeQuality, MODERATOR, SITE),
        (Invite, MEMBER, None),
        (SeeInvites, MODERATOR, SITE),
        (AnswerRequests, MODERATOR, None),
        (KickMember, MODERATOR, SITE),
        (MuteMember, MODERATOR, SITE),
        (RemoveMember, MODERATOR, SITE),
        (SetMemberRole, ADMIN, TOP),
        (EditRoom, ADMIN, TOP),
        (TransferRoom, OWNER, TOP),
        (ArchiveRoom, OWNER, TOP),
        (DeleteRoom, OWNER, TOP),
        (MeetStrangers, None, ANYBODY),
        (Report, None, ANYBODY),
        (ReviewCases, None, SITE),
        (DecideEscalated, None, TOP),
        (PassLimits, None, SITE),
        (Ban, None, SITE),
        (VerifyAge, None, SITE),
        (SetSiteRole, None, TOP),
        (Webhooks, OWNER, TOP),
        (ManageBots, None, TOP),
    ]
};

/// Whether somebody of this standing may do that, in a room that narrows nothing.
pub fn can(who: Standing, action: Action) -> bool {
    let is_silent = || who.mute().is_some() && action.needs_voice();
    allows(who, action, None) && !is_silent()
}

/// Whether somebody of this standing may do that in a room with these permits.
///
/// # Errors
/// `forbidden`; `muted` when only a mute is in the way.
pub fn permit(who: Standing, action: Action, permits: Permits) -> Result<(), Refusal> {
    if !allows(who, action, permits.least(action)) {
        return Err(Refusal::Forbidden { action });
    }
    match who.mute() {
        Some(until) if action.needs_voice() => Err(Refusal::Muted { until }),
        _ => Ok(()),
    }
}

fn allows(who: Standing, action: Action, narrowed: Option<Role>) -> bool {
    TABLE.iter().any(|&(listed, room, site)| {
        listed == action
            && (room.is_some_and(|least| who.room.is_some_and(|role| role >= least && Some(role) >= narrowed))
                || site.is_some_and(|least| who.site >= least))
    })
}

impl Action {
    /// Every one, in the order of the table.
    pub fn all() -> impl Iterator<Item = Action> {
        TABLE.iter().map(|(action, ..)| *action)
    }

    /// Whether it is heard or seen by the room: what a mute takes.
    pub const fn needs_voice(self) -> bool {
        matches!(
            self,
            Action::SendMessage
                | Action::Type
                | Action::React
                | Action::Upload
                | Action::MakePoll
                | Action::Vote
                | Action::MentionEverybody
                | Action::EditOwnMessage
                | Action::JoinCall
                | Action::ShareScreen
                | Action::PublishLive
        )
    }

    /// Whether it changes what is in a room: what nobody does in one that is put away.
    pub const fn changes_room(self) -> bool {
        self.needs_voice()
            || matches!(
                self,
                Action::PinMessage
                    | Action::LockThread
                    | Action::StreamKeys
                    | Action::Record
                    | Action::Invite
                    | Action::AnswerRequests
                    | Action::EditRoom
            )
    }
}

impl Permits {
    /// What a new room of that kind has.
    pub const fn of(kind: RoomKind) -> Self {
        let is_told = matches!(kind, RoomKind::Broadcast);
        let post = if is_told { Role::Moderator } else { Role::Member };
        let invite = if matches!(kind, RoomKind::Group | RoomKind::Call) { Role::Member } else { Role::Moderator };
        Self { post, call: Role::Member, share: Role::Member, record: Role::Moderator, invite }
    }

    /// The least role for an action; `None`: the room has no say in it.
    pub const fn least(self, action: Action) -> Option<Role> {
        match action {
            Action::SendMessage | Action::Upload | Action::MakePoll | Action::Type => Some(self.post),
            Action::JoinCall => Some(self.call),
            Action::ShareScreen => Some(self.share),
            Action::Record => Some(self.record),
            Action::Invite => Some(self.invite),
            _ => None,
        }
    }
}

impl Standing {
    /// Somebody with a voice.
    pub const fn of(room: Option<Role>, site: SiteRole) -> Self {
        Self { room, site, muted_until: None }
    }

    /// Until when they have no voice now; a moderator of the site always has one.
    pub fn mute(self) -> Option<Time> {
        self.muted_until.filter(|until| self.site < SiteRole::Moderator && *until > Time::now())
    }

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
        let yes = |allowed| if allowed { "yes" } else { "-" };
        let muted = Standing {
            muted_until: Some(Time::from_ms(i64::MAX)),
            ..Standing::of(Some(Role::Member), SiteRole::Member)
        };
        let mut page = format!("{:18}", "");
        for role in ROLES {
            write!(page, " {:9}", role.as_str()).unwrap();
        }
        write!(page, " {:9} {:9} | outside the room:", "muted", "banned").unwrap();
        for role in SITE_ROLES {
            write!(page, " {:13}", role.as_str()).unwrap();
        }
        for action in Action::all() {
            write!(page, "\n{:18}", format!("{action:?}")).unwrap();
            for role in ROLES {
                write!(page, " {:9}", yes(can(Standing::of(Some(role), SiteRole::Member), action))).unwrap();
            }
            // Who is banned from a room has no standing in it.
            let banned = Standing::of(None, SiteRole::Member);
            write!(page, " {:9} {:9} |                  ", yes(can(muted, action)), yes(can(banned, action))).unwrap();
            for site in SITE_ROLES {
                write!(page, " {:13}", yes(can(Standing::of(None, site), action))).unwrap();
            }
        }
        page.push_str("\n\nWhat a new room narrows:");
        for kind in RoomKind::ALL {
            let Permits { post, call, share, record, invite } = Permits::of(kind);
            let names = [post, call, share, record, invite].map(Role::as_str);
            let [post, call, share, record, invite] = names;
            write!(
                page,
                "\n{:10} post {post}, call {call}, share {share}, record {record}, invite {invite}",
                kind.as_str()
            )
            .unwrap();
        }
        let page: Vec<_> = page.lines().map(str::trim_end).collect();
        insta::assert_snapshot!(page.join("\n"));
    }

    #[test]
    fn the_table_names_every_action_once() {
        let mut named: Vec<_> = Action::all().collect();
        named.sort_by_key(|action| *action as u32);
        assert!(named.windows(2).all(|pair| pair[0] as u32 + 1 == pair[1] as u32), "{named:?}");
        assert_eq!(named.last(), Some(&Action::ManageBots), "the last of the enum");
    }

    #[test]
    fn a_mute_takes_the_voice_until_it_is_over() {
        let permits = Permits::of(RoomKind::Group);
        let member =
            |until| Standing { muted_until: Some(until), ..Standing::of(Some(Role::Member), SiteRole::Member) };
        let later = Time::now().after(std::time::Duration::from_secs(3600));
        assert_eq!(permit(member(later), Action::SendMessage, permits), Err(Refusal::Muted { until: later }));
        assert_eq!(permit(member(later), Action::ReadHistory, permits), Ok(()));
        assert_eq!(permit(member(Time::from_ms(0)), Action::SendMessage, permits), Ok(()));
        let guard = Standing { site: SiteRole::Moderator, ..member(later) };
        assert_eq!(permit(guard, Action::SendMessage, permits), Ok(()));
    }

    #[test]
    fn a_room_narrows_and_never_widens() {
        let member = Standing::of(Some(Role::Member), SiteRole::Member);
        let broadcast = Permits::of(RoomKind::Broadcast);
        let forbidden = |action| Err(Refusal::Forbidden { action });
        assert_eq!(permit(member, Action::SendMessage, broadcast), forbidden(Action::SendMessage));
        assert_eq!(permit(Standing { room: Some(Role::Moderator), ..member }, Action::SendMessage, broadcast), Ok(()));
        let wide = Permits { record: Role::Member, ..broadcast };
        assert_eq!(permit(member, Action::Record, wide), forbidden(Action::Record));
        // A moderator of the site records wherever the table says so, whatever the room wants.
        let narrow = Permits { record: Role::Owner, ..broadcast };
        assert_eq!(permit(Standing::of(None, SiteRole::Moderator), Action::Record, narrow), Ok(()));
    }

    #[test]
    fn nobody_outranks_an_equal_except_administrators() {
        let standing = Standing::of;
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
