//! Recordings of calls and their files.

use serde::{Deserialize, Serialize};

use super::{CallId, FileId, RecordingId, RoomId, Time, UserId};

/// A recording of a call, as those see it who may.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recording {
    /// Which.
    pub recording_id: RecordingId,
    /// Of which call.
    pub call_id: CallId,
    /// Where the call took place.
    pub room_id: RoomId,
    /// The room's name.
    pub room_name: String,
    /// How far it has come.
    pub state: RecordingState,
    /// When the first packet was written; `null` while everybody is told.
    pub started_at: Option<Time>,
    /// When it was stopped.
    pub ended_at: Option<Time>,
    /// Who wanted it.
    pub started_by: UserId,
    /// Why it was stopped.
    pub stop_reason: Option<RecordingStop>,
    /// What was written, in the order in which it began.
    pub files: Vec<RecordedFile>,
    /// The one file of all, if somebody has asked for it.
    pub composed: Option<Composed>,
}

/// A file of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordedFile {
    /// Which.
    pub file_id: FileId,
    /// What is in it.
    pub kind: FileKind,
    /// Who is in it; `null`: everybody.
    pub user_id: Option<UserId>,
    /// The name that they had.
    pub nickname: Option<String>,
    /// How far it has come.
    pub state: FileState,
    /// Whether the server stopped in the middle and the file was finished later.
    pub interrupted: bool,
    /// The file's form.
    pub container: Container,
    /// Its beginning on the recording's clock, in milliseconds.
    pub starts_at_ms: i64,
    /// How long it plays, once it is ready.
    pub duration_ms: Option<i64>,
    /// Its size, once it is ready.
    pub size_bytes: Option<i64>,
    /// Its SHA-256 in hexadecimal, once it is ready.
    pub sha256: Option<String>,
}

/// The making of one file of all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Composed {
    /// How far it has come.
    pub state: ComposedState,
    /// How much of it is done, from 0 to 1.
    pub progress: f64,
    /// Why it failed, or what it had to do without: a sentence.
    pub error: Option<String>,
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
    /// How far a recording has come.
    RecordingState {
        /// Everybody is told; nothing is written.
        Starting = "starting",
        /// Packets are written.
        Running = "running",
        /// It is stopped, and its files are being finished.
        Finishing = "finishing",
        /// All its files can be fetched.
        Ready = "ready",
        /// It came to nothing.
        Failed = "failed",
    }
    /// Why a recording was stopped.
    RecordingStop {
        /// Somebody who may stopped it.
        Stopped = "stopped",
        /// Everybody has left.
        CallEnded = "call_ended",
        /// The disk is full.
        DiskFull = "disk_full",
        /// The server could not go on with it.
        Failed = "failed",
        /// The server stopped, or died.
        ServerStopped = "server_stopped",
    }
    /// What is in a file.
    FileKind {
        /// One person's camera and microphone.
        Participant = "participant",
        /// One person's screen.
        Screen = "screen",
        /// Everybody.
        Composed = "composed",
    }
    /// How far a file has come.
    FileState {
        /// It grows.
        Recording = "recording",
        /// It is being finished, or brought to where files are kept.
        Finishing = "finishing",
        /// It can be fetched.
        Ready = "ready",
        /// It is lost.
        Failed = "failed",
    }
    /// The form of a file.
    Container {
        /// WebM: VP8 and Opus.
        WebM = "webm",
        /// Matroska: everything else.
        Matroska = "matroska",
    }
    /// How far the making of one file of all has come.
    ComposedState {
        /// It waits for its turn.
        Queued = "queued",
        /// It is being made.
        Running = "running",
        /// It is among the recording's files.
        Done = "done",
        /// It came to nothing; the error says why.
        Failed = "failed",
        /// Somebody stopped it.
        Cancelled = "cancelled",
    }
}

impl Container {
    /// The media type. Browsers know Matroska by the name that it had before it was registered.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::WebM => "video/webm",
            Self::Matroska => "video/x-matroska",
        }
    }

    /// The ending of a file's name.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::WebM => "webm",
            Self::Matroska => "mkv",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_and_the_database_use_the_same_names() {
        for reason in ["stopped", "call_ended", "disk_full", "failed", "server_stopped"] {
            let parsed = RecordingStop::parse(reason).unwrap();
            assert_eq!(serde_json::to_value(parsed).unwrap(), reason);
        }
        assert_eq!(ComposedState::parse("bored"), None);
    }
}
