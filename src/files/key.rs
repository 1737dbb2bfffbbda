use uuid::Uuid;

use crate::domain::{FileId, RecordingId};

/// What a file is. Its place is made of this alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A piece of evidence of the moderation, by its id.
    Evidence(Uuid),
    /// A file of a recording.
    Recording(RecordingId, FileId),
    /// Who spoke when in a recording.
    Speakers(RecordingId),
    /// A file of a message.
    Attachment(FileId),
    /// The small picture of a file of a message.
    Thumbnail(FileId),
    /// A piece of a file of a message, as long as its upload goes on.
    Piece(FileId, Uuid),
    /// What the check writes and deletes.
    Probe,
}

impl Key {
    /// The parts of its name.
    pub(super) fn parts(self) -> Vec<String> {
        match self {
            Self::Evidence(id) => vec!["evidence".to_owned(), id.to_string()],
            Self::Recording(recording, file) => {
                vec!["recordings".to_owned(), recording.to_string(), file.to_string()]
            }
            Self::Speakers(recording) => {
                vec!["recordings".to_owned(), recording.to_string(), "speakers".to_owned()]
            }
            Self::Attachment(file) => vec!["attachments".to_owned(), file.to_string()],
            Self::Thumbnail(file) => vec!["thumbnails".to_owned(), file.to_string()],
            Self::Piece(file, piece) => vec!["uploads".to_owned(), file.to_string(), piece.to_string()],
            Self::Probe => vec![format!("probe-{}", std::process::id())],
        }
    }
}
