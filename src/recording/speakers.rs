//! Who spoke when: what marks the active speaker in a composed file.

use serde::{Deserialize, Serialize};

use super::{Recordings, live::Live, lock};
use crate::domain::{ParticipantId, Time, UserId};

/// Spans that a recording keeps at most: at one change in three seconds, eighty hours. Later ones are not marked.
const SPANS_LIMIT: usize = 100_000;
/// The file's name in the recording's folder, while it is there.
pub(super) const FILE: &str = "speakers.json";

/// A time in which one person was the loudest, in milliseconds of the recording's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Span {
    /// Who.
    pub(super) user_id: UserId,
    /// From when.
    pub(super) from_ms: i64,
    /// Until when.
    pub(super) to_ms: i64,
}

/// The spans of a recording so far.
#[derive(Debug, Default)]
pub(super) struct Speakers {
    spans: Vec<Span>,
    /// Who is the loudest now, and since when.
    now: Option<(ParticipantId, UserId, i64)>,
}

impl Speakers {
    /// Somebody is the loudest from now on, or nobody speaks.
    pub(super) fn change(&mut self, to: Option<(ParticipantId, UserId)>, at_ms: i64) {
        if self.now.map(|(participant, ..)| participant) == to.map(|(participant, _)| participant) {
            return;
        }
        if let Some((_, user_id, from_ms)) = self.now.take()
            && self.spans.len() < SPANS_LIMIT
        {
            self.spans.push(Span { user_id, from_ms, to_ms: at_ms });
        }
        self.now = to.map(|(participant, user)| (participant, user, at_ms));
    }

    /// The recording that began then is over.
    pub(super) fn stop(&mut self, since: Time) {
        self.change(None, Time::now().as_ms() - since.as_ms());
    }

    /// The spans as a file, up to now.
    fn encode(&self, now_ms: i64) -> Vec<u8> {
        let open = self.now.map(|(_, user_id, from_ms)| Span { user_id, from_ms, to_ms: now_ms });
        let spans: Vec<_> = self.spans.iter().copied().chain(open).collect();
        serde_json::to_vec(&spans).expect("spans are plain numbers and ids")
    }
}

/// The spans in a file; none, when it says nothing that can be read.
pub(super) fn decode(file: &[u8]) -> Vec<Span> {
    serde_json::from_slice(file).unwrap_or_default()
}

impl Recordings {
    /// Writes the spans beside the recording's files, whole or not at all. Without them a composed file marks nobody.
    pub(super) async fn write_speakers(&self, live: &Live) {
        let now_ms = live.since().map_or(0, |since| Time::now().as_ms() - since.as_ms());
        let spans = lock(&live.speakers).encode(now_ms);
        let file = self.local_folder(live.id).join(FILE);
        let draft = file.with_extension("new");
        let written = async {
            tokio::fs::write(&draft, spans).await?;
            tokio::fs::rename(&draft, &file).await
        };
        if let Err(error) = written.await {
            tracing::warn!(%error, "the list of speakers could not be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_follow_the_loudest() {
        let [ada, bob] = [(), ()].map(|()| (ParticipantId::new(), UserId::new()));
        let mut speakers = Speakers::default();
        for (who, at_ms) in
            [(None, 0), (Some(ada), 100), (Some(ada), 200), (Some(bob), 300), (None, 450), (Some(ada), 500)]
        {
            speakers.change(who, at_ms);
        }
        let span = |(_, user_id): (ParticipantId, UserId), from_ms, to_ms| Span { user_id, from_ms, to_ms };
        let so_far = [span(ada, 100, 300), span(bob, 300, 450), span(ada, 500, 700)];
        assert_eq!(decode(&speakers.encode(700)), so_far);
        speakers.change(None, 900);
        assert_eq!(decode(&speakers.encode(1_000))[2], span(ada, 500, 900));
        assert_eq!(decode(b"nonsense"), []);
    }
}
