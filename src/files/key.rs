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
            Self::Probe => vec![format!("probe-{}", std::process::id())],
        }
    }
}
