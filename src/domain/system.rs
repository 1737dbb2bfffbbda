//! What the server says in messages of its own.

use serde::{Deserialize, Serialize};

use super::{
    CallId, MessageId, Role, UserId,
    message::Author,
    ring::{CallOutcome, CallType},
};

/// What happened, as the server says it in a message of its own. The message's sender is who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum System {
    /// Somebody has become a member.
    Joined,
    /// Somebody is no member any more, of their own will.
    Left,
    /// Somebody was brought in.
    Added {
        /// Who.
        user: Author,
    },
    /// Somebody was put out, and may come back.
    Kicked {
        /// Who.
        user: Author,
    },
    /// Somebody was put out, and is kept out.
    Banned {
        /// Who.
        user: Author,
    },
    /// The room is somebody else's from now on.
    OwnerChanged {
        /// Whose.
        user: Author,
    },
    /// The room has another name.
    Renamed {
        /// The name; empty: none.
        name: String,
    },
    /// Somebody was given a role.
    RoleChanged {
        /// Who.
        user: Author,
        /// From now on.
        role: Role,
    },
    /// A message was pinned.
    Pinned {
        /// Which.
        message_id: MessageId,
    },
    /// People were rung, to come into the room's call.
    CallStarted {
        /// The call, as its record has it.
        call_id: CallId,
        /// With what it began.
        #[serde(rename = "type")]
        #[cfg_attr(test, ts(rename = "type"))]
        call: CallType,
    },
    /// A call that rang is over.
    CallEnded {
        /// The call, as its record has it.
        call_id: CallId,
        /// With what it began.
        #[serde(rename = "type")]
        #[cfg_attr(test, ts(rename = "type"))]
        call: CallType,
        /// What came of it.
        outcome: CallOutcome,
        /// From the first answer to the end, in seconds; 0: nobody answered.
        duration_s: u32,
    },
}

impl System {
    /// The sentence for clients that know nothing of such messages.
    pub fn sentence(&self, by: &Author) -> String {
        let by = &by.nickname;
        match self {
            System::Joined => format!("{by} has joined."),
            System::Left => format!("{by} has left."),
            System::Added { user } => format!("{by} has brought {} in.", user.nickname),
            System::Kicked { user } => format!("{by} has put {} out.", user.nickname),
            System::Banned { user } => format!("{by} keeps {} out from now on.", user.nickname),
            System::OwnerChanged { user } => format!("{by} has given the room to {}.", user.nickname),
            System::Renamed { name } if name.is_empty() => format!("{by} has taken the name away."),
            System::Renamed { name } => format!("{by} has named it {name}."),
            System::RoleChanged { user, role } => format!("{} is {} now.", user.nickname, role.as_str()),
            System::Pinned { .. } => format!("{by} has pinned a message."),
            System::CallStarted { .. } => format!("{by} calls."),
            System::CallEnded { outcome: CallOutcome::Answered, .. } => format!("The call of {by} is over."),
            System::CallEnded { .. } => format!("{by} called, and nobody came."),
        }
    }

    /// Whom it tells of, besides who did it.
    pub fn subject(&self) -> Option<UserId> {
        match self {
            System::Added { user }
            | System::Kicked { user }
            | System::Banned { user }
            | System::OwnerChanged { user }
            | System::RoleChanged { user, .. } => Some(user.id),
            System::Joined
            | System::Left
            | System::Renamed { .. }
            | System::Pinned { .. }
            | System::CallStarted { .. }
            | System::CallEnded { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_message_has_words_too() {
        let ada = Author { id: UserId::new(), nickname: "ada".to_owned() };
        let (user, call_id, call) = (ada.clone(), CallId::new(), CallType::Video);
        let told = [
            System::Joined,
            System::Left,
            System::Added { user: user.clone() },
            System::Kicked { user: user.clone() },
            System::Banned { user: user.clone() },
            System::OwnerChanged { user: user.clone() },
            System::Renamed { name: "Friday".to_owned() },
            System::Renamed { name: String::new() },
            System::RoleChanged { user, role: Role::Moderator },
            System::Pinned { message_id: MessageId::new() },
            System::CallStarted { call_id, call },
            System::CallEnded { call_id, call, outcome: CallOutcome::Answered, duration_s: 60 },
            System::CallEnded { call_id, call, outcome: CallOutcome::Missed, duration_s: 0 },
        ];
        let sentences = told.map(|it| it.sentence(&ada));
        let expected = [
            "ada has joined.",
            "ada has left.",
            "ada has brought ada in.",
            "ada has put ada out.",
            "ada keeps ada out from now on.",
            "ada has given the room to ada.",
            "ada has named it Friday.",
            "ada has taken the name away.",
            "ada is moderator now.",
            "ada has pinned a message.",
            "ada calls.",
            "The call of ada is over.",
            "ada called, and nobody came.",
        ];
        assert_eq!(sentences, expected);
    }
}
