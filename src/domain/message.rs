//! Messages.
//!
//! A field that is absent on the wire has its default: most messages are text and nothing else, and everybody gets them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{FileId, MessageId, RoomId, Time, UserId, attachment::Attachment};

pub use super::system::System;

/// A message as everybody in its room sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Which.
    pub id: MessageId,
    /// Where.
    pub room_id: RoomId,
    /// Who wrote it, by the name they had.
    pub sender: Author,
    /// The sender's own name for it, unique for a sender in a room.
    pub client_id: String,
    /// What it says; empty once deleted.
    pub content: Content,
    /// The message of the same room that it answers.
    pub reply_to: Option<MessageId>,
    /// When it was written.
    pub created_at: Time,
    /// When its author last changed it.
    pub edited_at: Option<Time>,
    /// Whether it was taken back or away.
    pub deleted: bool,
    /// How many reacted, by emoji.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<BTreeMap<String, u32>>"))]
    pub reactions: BTreeMap<String, u32>,
    /// Since when it is pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub pinned_at: Option<Time>,
    /// The thread that begins with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub thread: Option<Thread>,
    /// When the server will delete it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub expires_at: Option<Time>,
}

/// Who wrote a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Author {
    /// Who.
    pub id: UserId,
    /// The name they had then.
    pub nickname: String,
}

/// What a message says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// Of what kind it is; text when absent.
    #[serde(default, rename = "type", skip_serializing_if = "is_default")]
    #[cfg_attr(test, ts(optional, as = "Option<ContentType>"))]
    pub kind: ContentType,
    /// Text as written, after Unicode NFC. Never HTML.
    pub text: String,
    /// The files that come with it, up to 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<Attachment>>"))]
    pub attachments: Vec<Attachment>,
    /// Whom it calls.
    #[serde(default, skip_serializing_if = "is_default")]
    #[cfg_attr(test, ts(optional, as = "Option<Mentions>"))]
    pub mentions: Mentions,
    /// The hashtags of its text, as written there, without `#`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<String>>"))]
    pub hashtags: Vec<String>,
    /// What it asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub poll: Option<Poll>,
    /// Where it comes from, if it was said before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub forwarded_from: Option<ForwardedFrom>,
    /// The message with which its thread begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub thread_id: Option<MessageId>,
    /// What happened, in a message that the server wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub system: Option<System>,
}

/// What kind of message it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum ContentType {
    /// Words.
    #[default]
    Text,
    /// Pictures.
    Image,
    /// Films.
    Video,
    /// Sound.
    Audio,
    /// Any files.
    File,
    /// A sticker, by its name.
    Sticker,
    /// A picture that moves.
    Gif,
    /// Emoji alone, to be shown large.
    Emoji,
    /// A question with answers to choose from.
    Poll,
    /// What the server says.
    System,
    /// A gift. Written by the server alone.
    Gift,
    /// A tip. Written by the server alone.
    Tip,
}

/// Whom a message calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Mentions {
    /// These people, up to 50; those of them who are no members are not told.
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<UserId>>"))]
    pub users: Vec<UserId>,
    /// Everybody who is here now.
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub here: bool,
    /// Every member of the room.
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub room: bool,
}

/// A question with answers to choose from, and what was chosen so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Poll {
    /// What is asked.
    pub question: String,
    /// 2 to 10 answers.
    pub options: Vec<PollOption>,
    /// Whether one may choose several.
    pub multiple: bool,
    /// Until when one may vote; `null`: as long as it is there.
    pub closes_at: Option<Time>,
    /// How many have voted.
    pub voters: u32,
}

/// One answer of a poll.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PollOption {
    /// What it says.
    pub text: String,
    /// How many chose it.
    pub votes: u32,
}

/// Where a message comes from that was said before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ForwardedFrom {
    /// Who wrote it.
    pub sender: Author,
    /// When they wrote it.
    pub created_at: Time,
    /// In which room; `null` unless everybody may know that room, or it is this one.
    pub room_id: Option<RoomId>,
    /// Which message it was; `null` with the room.
    pub message_id: Option<MessageId>,
}

/// The thread that begins with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Thread {
    /// How many messages it has that are not deleted, without the first.
    pub replies: u32,
    /// When somebody last wrote in it.
    pub last_reply_at: Option<Time>,
    /// Whether nobody may write in it any more, except those who can unlock it.
    pub locked: bool,
}

/// What somebody wants a message to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct NewContent {
    /// Of what kind; absent: a poll if it has one, else files if it has some, else text.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional = nullable))]
    pub kind: Option<ContentType>,
    /// What it says. Polls, files and forwarded messages may do without.
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<String>"))]
    pub text: String,
    /// The files that come with it, up to 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<NewAttachment>>"))]
    pub attachments: Vec<NewAttachment>,
    /// Whom it calls.
    #[serde(default, skip_serializing_if = "is_default")]
    #[cfg_attr(test, ts(optional, as = "Option<Mentions>"))]
    pub mentions: Mentions,
    /// What it asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional = nullable))]
    pub poll: Option<NewPoll>,
    /// The message with which its thread begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional = nullable))]
    pub thread_id: Option<MessageId>,
}

/// A file that is to come with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct NewAttachment {
    /// Which.
    pub file_id: FileId,
}

/// A question to be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct NewPoll {
    /// What is asked, up to 300 characters.
    pub question: String,
    /// 2 to 10 different answers of up to 100 characters.
    pub options: Vec<NewPollOption>,
    /// Whether one may choose several.
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub multiple: bool,
    /// Until when one may vote.
    #[serde(default)]
    #[cfg_attr(test, ts(optional = nullable))]
    pub closes_at: Option<Time>,
}

/// One answer of a question to be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct NewPollOption {
    /// What it says.
    pub text: String,
}

/// A message that is to be said again elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Forward {
    /// Where it was said.
    pub room_id: RoomId,
    /// Which.
    pub message_id: MessageId,
}

/// What a message said before it was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// What it said.
    pub text: String,
    /// Since when it did.
    pub written_at: Time,
}

impl Message {
    /// The message as it looks once deleted: its place stays (in its thread too), what it said is gone.
    #[must_use]
    pub fn emptied(self) -> Self {
        let content = Content { thread_id: self.content.thread_id, ..Content::default() };
        Self { content, deleted: true, reactions: BTreeMap::new(), pinned_at: None, ..self }
    }
}

impl Content {
    /// Words and nothing else.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

impl ContentType {
    /// Every type, for whoever lists or parses them.
    pub const ALL: [ContentType; 12] = [
        ContentType::Text,
        ContentType::Image,
        ContentType::Video,
        ContentType::Audio,
        ContentType::File,
        ContentType::Sticker,
        ContentType::Gif,
        ContentType::Emoji,
        ContentType::Poll,
        ContentType::System,
        ContentType::Gift,
        ContentType::Tip,
    ];

    /// The name on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            ContentType::Text => "text",
            ContentType::Image => "image",
            ContentType::Video => "video",
            ContentType::Audio => "audio",
            ContentType::File => "file",
            ContentType::Sticker => "sticker",
            ContentType::Gif => "gif",
            ContentType::Emoji => "emoji",
            ContentType::Poll => "poll",
            ContentType::System => "system",
            ContentType::Gift => "gift",
            ContentType::Tip => "tip",
        }
    }

    /// The type of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_the_names_of_the_wire() {
        for kind in ContentType::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(ContentType::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(ContentType::parse("song"), None);
    }

    #[test]
    fn a_plain_text_is_as_short_as_it_was() {
        assert_eq!(serde_json::to_string(&Content::text("hello")).unwrap(), r#"{"text":"hello"}"#);
        let read: Content = serde_json::from_str(r#"{"text":"hello"}"#).unwrap();
        assert_eq!(read, Content::text("hello"));
    }
}
