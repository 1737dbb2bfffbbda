//! Files that people put into messages.

use serde::{Deserialize, Serialize};

use super::{FileId, MessageId, RoomId, Time, UserId};

/// Files that one message has at most.
pub const ATTACHMENTS_LIMIT: usize = 10;

/// A file, as those see it who may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// Which.
    pub file_id: FileId,
    /// What it is. As long as it is uploaded: what its uploader says.
    pub kind: AttachmentKind,
    /// Its name, cleaned: no part of a path, no control characters.
    pub name: String,
    /// Its media type, by its bytes. As long as it is uploaded: what its uploader says.
    pub media_type: String,
    /// Its size as it is kept, which may be less than what was uploaded.
    #[cfg_attr(test, ts(type = "number"))]
    pub size_bytes: u64,
    /// How far it has come.
    pub state: AttachmentState,
    /// Why it has failed.
    pub fault: Option<AttachmentFault>,
    /// The SHA-256 of what is kept, in hexadecimal, once it is clean.
    pub sha256: Option<String>,
    /// The width of its picture in pixels, as it is shown.
    pub width: Option<u32>,
    /// The height of its picture in pixels, as it is shown.
    pub height: Option<u32>,
    /// How long it plays, where that is known.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub duration_ms: Option<u64>,
    /// Whether there is a small picture of it.
    pub thumbnail: bool,
    /// When its upload began.
    pub created_at: Time,
}

/// A file with what only the server needs to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentRecord {
    /// The file.
    pub attachment: Attachment,
    /// Who uploaded it. `None`: somebody who is gone.
    pub uploader: Option<UserId>,
    /// The room of the message that took it.
    pub room: Option<RoomId>,
    /// The message that took it. `None` with a room: that message is gone.
    pub message: Option<MessageId>,
    /// What has arrived of it, in bytes.
    pub received_bytes: u64,
    /// Until when a message has to take it.
    pub expires_at: Time,
    /// Whether it is about to be deleted.
    pub doomed: bool,
}

impl AttachmentRecord {
    /// Whether a message of that person may take it.
    pub fn is_free_for(&self, user: UserId) -> bool {
        let is_loose = self.room.is_none() && self.message.is_none() && !self.doomed;
        is_loose && self.uploader == Some(user) && self.attachment.state == AttachmentState::Clean
    }
}

/// Declares an enum whose names are the same in the database and on the wire.
macro_rules! named {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:tt,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[cfg_attr(test, derive(ts_rs::TS))]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// The name that the database and the wire use.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// What has that name.
            pub fn parse(name: &str) -> Option<Self> {
                [$(Self::$variant,)*].into_iter().find(|it| it.as_str() == name)
            }
        }
    )*};
}

named! {
    /// What a file is.
    AttachmentKind {
        /// A picture.
        Image = "image",
        /// A film.
        Video = "video",
        /// Sound.
        Audio = "audio",
        /// Anything else.
        File = "file",
    }
    /// How far a file has come.
    AttachmentState {
        /// Its bytes arrive.
        Uploading = "uploading",
        /// It is looked at, and nobody sees it.
        Scanning = "scanning",
        /// It can be sent, and fetched.
        Clean = "clean",
        /// A scanner found something in it; it is deleted.
        Infected = "infected",
        /// It is not what may be uploaded; it is deleted.
        Failed = "failed",
    }
    /// Why a file has failed.
    AttachmentFault {
        /// Files of this type are not taken.
        TypeNotAllowed = "typeNotAllowed",
        /// It is damaged, or not what it looks like.
        Unreadable = "unreadable",
        /// It is larger than files of its kind may be.
        TooLarge = "tooLarge",
        /// Its picture has more pixels than are taken.
        TooManyPixels = "tooManyPixels",
        /// The scanner does not take it.
        Unscannable = "unscannable",
    }
}

impl AttachmentKind {
    /// What files of that media type are.
    pub fn of(media_type: &str) -> Self {
        match media_type.split('/').next() {
            Some("image") => Self::Image,
            Some("video") => Self::Video,
            Some("audio") => Self::Audio,
            _ => Self::File,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_and_the_database_use_the_same_names() {
        for name in ["uploading", "scanning", "clean", "infected", "failed"] {
            assert_eq!(serde_json::to_value(AttachmentState::parse(name).unwrap()).unwrap(), name);
        }
        assert_eq!(serde_json::to_value(AttachmentFault::TypeNotAllowed).unwrap(), "typeNotAllowed");
        assert_eq!(AttachmentKind::of("video/webm"), AttachmentKind::Video);
        assert_eq!(AttachmentKind::of("imagery"), AttachmentKind::File);
    }
}
