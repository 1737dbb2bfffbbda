//! Writes down what was found, and keeps what it rests on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ring::digest;
use tokio::sync::mpsc;

use super::frames::Frame;
use super::policy::OnHit;
use super::vision;
use crate::domain::case::{CaseSource, Named, Place, Priority};
use crate::domain::evidence::{Evidence, EvidenceKind, Label, Model};
use crate::domain::{CaseId, Deed, EvidenceId, LogEntry, Refusal, Time};
use crate::files::{Files, Key};
use crate::metrics::CASES;
use crate::store::{CaseKey, NewCase, Store};

/// Findings that wait to be written. Each is told again while it lasts, so what finds no room here comes again.
const MOST_WAITING: usize = 256;
/// Pieces of evidence whose time is over that are deleted at once.
const SWEEP_AT_ONCE: u32 = 100;

/// Something that makes a case.
#[derive(Clone, Debug)]
pub(super) enum Finding {
    /// The classifier saw something.
    Seen {
        /// What.
        label: Label,
        /// From which probability on it counts.
        threshold: Option<f32>,
        /// Whom it is about.
        subject: Named,
        /// In which frame.
        frame: Frame,
        /// Which classifier.
        model: Option<Model>,
        /// Whether strangers share the room.
        strangers: bool,
        /// What the server does by itself.
        on_hit: OnHit,
    },
    /// A track yields no pictures.
    Unsampled {
        /// Whose.
        subject: Named,
        /// Where.
        place: Place,
    },
}

/// The way to the clerk's desk. Clones share it.
#[derive(Clone)]
pub(super) struct Clerk {
    desk: mpsc::Sender<Finding>,
    failed_at: Arc<Mutex<Option<Instant>>>,
}

/// Where findings and evidence are written.
#[derive(Clone)]
pub(super) struct Books {
    pub(super) store: Store,
    pub(super) files: Files,
    pub(super) evidence_life: Duration,
}

impl Clerk {
    /// A clerk, and the work that somebody has to spawn.
    pub(super) fn new(books: Books) -> (Self, impl Future<Output = ()>) {
        let (desk, mut findings) = mpsc::channel(MOST_WAITING);
        let clerk = Self { desk, failed_at: Arc::default() };
        let failed_at = clerk.failed_at.clone();
        let work = async move {
            while let Some(finding) = findings.recv().await {
                if let Err(refusal) = books.write(finding).await {
                    tracing::error!(?refusal, "a finding could not be written");
                    note_failure(&failed_at);
                }
            }
        };
        (clerk, work)
    }

    /// Has a finding written.
    pub(super) fn note(&self, finding: Finding) {
        if self.desk.try_send(finding).is_err() {
            tracing::error!("a finding found no room");
            note_failure(&self.failed_at);
        }
    }

    /// When a finding could not be written the last time.
    pub(super) fn failed_at(&self) -> Option<Instant> {
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn note_failure(failed_at: &Mutex<Option<Instant>>) {
    *failed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
}

impl Books {
    async fn write(&self, finding: Finding) -> Result<(), Refusal> {
        match finding {
            Finding::Seen { label, threshold, subject, frame, model, strangers, on_hit } => {
                let track = frame.place.track_id.ok_or(Refusal::NotFound)?;
                let priority = if strangers { Priority::High } else { Priority::Medium };
                let new = NewCase {
                    id: CaseId::new(),
                    source: CaseSource::Sampler,
                    key: CaseKey::Seen(track, label),
                    label: Some(label.as_str().to_owned()),
                    priority,
                    subject,
                    place: frame.place,
                    at: Time::now(),
                };
                let case = self.open(&new, on_hit).await?;
                self.keep_frame(case, &frame, threshold, model).await
            }
            Finding::Unsampled { subject, place } => {
                let track = place.track_id.ok_or(Refusal::NotFound)?;
                let new = NewCase {
                    id: CaseId::new(),
                    source: CaseSource::Unsampled,
                    key: CaseKey::Unsampled(track),
                    label: None,
                    priority: Priority::Low,
                    subject,
                    place,
                    at: Time::now(),
                };
                self.open(&new, OnHit::Flag).await?;
                Ok(())
            }
        }
    }

    async fn open(&self, new: &NewCase, on_hit: OnHit) -> Result<CaseId, Refusal> {
        let (case, is_new) = self.store.open_case(new).await?;
        if is_new {
            note_case(case, new.source);
            let deed = match on_hit {
                OnHit::Flag => None,
                OnHit::Hold => Some(Deed::Held),
                OnHit::Stop => Some(Deed::Stopped),
            };
            if let Some(deed) = deed {
                let entry = LogEntry::by_server(deed).in_case(case).about(new.subject.user_id);
                self.store.log(&entry.in_room(new.place.room_id)).await?;
            }
        }
        Ok(case)
    }

    /// Keeps a frame as evidence: the very picture that was looked at.
    pub(super) async fn keep_frame(
        &self,
        case: CaseId,
        frame: &Frame,
        threshold: Option<f32>,
        model: Option<Model>,
    ) -> Result<(), Refusal> {
        let (coding, bytes) = (frame.coding, frame.bytes.clone());
        let made = tokio::task::spawn_blocking(move || vision::picture_file(coding, &bytes)).await;
        let picture = match made.map_err(|panic| Refusal::Internal(panic.to_string()))? {
            Ok(picture) => picture,
            Err(error) => {
                // Nobody could look at it either.
                tracing::warn!(%error, "a frame is no evidence");
                return Ok(());
            }
        };
        let evidence = Evidence {
            width: Some(picture.width),
            height: Some(picture.height),
            scores: frame.scores,
            threshold,
            model: frame.scores.and(model),
            ..self.evidence(EvidenceKind::Frame, picture.media_type, &picture.bytes, frame.taken_at)
        };
        self.keep(case, &evidence, picture.bytes.into()).await
    }

    /// Keeps messages as evidence.
    pub(super) async fn keep_messages(&self, case: CaseId, json: Vec<u8>, at: Time) -> Result<(), Refusal> {
        let evidence = self.evidence(EvidenceKind::Messages, "application/json", &json, at);
        self.keep(case, &evidence, json.into()).await
    }

    fn evidence(&self, kind: EvidenceKind, media_type: &str, bytes: &[u8], taken_at: Time) -> Evidence {
        Evidence {
            evidence_id: EvidenceId::new(),
            kind,
            media_type: media_type.to_owned(),
            sha256: sha256(bytes),
            size_bytes: bytes.len() as u64,
            taken_at,
            expires_at: Time::now().after(self.evidence_life),
            width: None,
            height: None,
            scores: None,
            threshold: None,
            model: None,
        }
    }

    /// The row first: a crash in between leaves nothing that no sweep would find.
    async fn keep(&self, case: CaseId, evidence: &Evidence, bytes: Bytes) -> Result<(), Refusal> {
        let id = evidence.evidence_id;
        if !self.store.add_evidence(case, evidence).await? {
            return Ok(());
        }
        if let Err(error) = self.files.put(key_of(id), bytes).await {
            self.store.forget_evidence(id, None).await?;
            return Err(error.into());
        }
        Ok(())
    }

    /// Deletes evidence whose time is over. How many pieces.
    pub(super) async fn sweep(&self, now: Time) -> Result<u64, Refusal> {
        let mut swept = 0;
        loop {
            let expired = self.store.expired_evidence(now, SWEEP_AT_ONCE).await?;
            let mut last = expired.len() < SWEEP_AT_ONCE as usize;
            for id in expired {
                // The file first: what is left of a sweep that was cut short is found by the next.
                if let Err(error) = self.files.delete(key_of(id)).await {
                    // It is tried again with the next sweep; the others go meanwhile.
                    tracing::warn!(evidence = %id, %error, "expired evidence could not be deleted");
                    last = true;
                    continue;
                }
                let entry = LogEntry { at: now, ..LogEntry::by_server(Deed::EvidenceExpired) };
                self.store.forget_evidence(id, Some(&entry.with(id))).await?;
                swept += 1;
            }
            if last {
                return Ok(swept);
            }
        }
    }
}

/// A case has begun.
pub(super) fn note_case(case: CaseId, source: CaseSource) {
    tracing::info!(%case, source = source.as_str(), "a case waits for a moderator");
    metrics::counter!(CASES, "source" => source.as_str()).increment(1);
}

/// Where the bytes of a piece of evidence are.
pub(super) fn key_of(id: EvidenceId) -> Key {
    Key::Evidence(id.as_uuid())
}

/// The hash of these bytes, in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    digest::digest(&digest::SHA256, bytes).as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
