//! What people report about people.

use std::time::Duration;

use serde::Serialize;
use uuid::Uuid;

use super::Moderation;
use super::clerk::note_case;
use super::watch::Order;
use crate::domain::case::{CaseSource, Named, Place, ReportReason, TargetKind};
use crate::domain::{
    Action, Caller, CaseId, Message, MessageId, Refusal, ReportId, RoomId, SiteRole, Time, TrackSource, UserId, can,
    feature::Feature,
};
use crate::limit::Rule;
use crate::store::{CaseKey, Filed, Membership, NewCase, NewReport, Reputation, STATE_MESSAGES};

/// The longest description, in characters.
const DESCRIPTION_LIMIT: usize = 500;
/// Messages before and after a reported one that are frozen with it.
const AROUND: u32 = 5;
/// How far back earlier reports of the same person count for what their word weighs.
const REPUTATION: Duration = Duration::from_secs(90 * 24 * 3600);

/// What somebody reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Whether it is about a person or a message.
    pub target: TargetKind,
    /// Which.
    pub target_id: Uuid,
    /// Where it happened: needed for a message.
    pub room: Option<RoomId>,
    /// Why.
    pub reason: ReportReason,
    /// In their words.
    pub description: Option<String>,
}

/// What a report is about, as it was found.
struct Target {
    key: CaseKey,
    subject: Named,
    place: Place,
    /// The message among those around it.
    messages: Vec<Message>,
}

/// What is kept of a reported message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Frozen<'a> {
    reported_id: MessageId,
    messages: &'a [Message],
}

impl Moderation {
    /// Reports a person or a message to the moderators, with what they look like now. The same person's second report of the same is
    /// the first one.
    ///
    /// # Errors
    /// `forbidden`, `rate_limited` (never for critical reasons), `bad_request` (`description`, `roomId`, `targetId`: oneself),
    /// `not_found` (also for whom or what one cannot see), `internal`.
    pub async fn report(&self, caller: &Caller, complaint: Complaint) -> Result<ReportId, Refusal> {
        if !can(caller.standing(), Action::Report) {
            return Err(Refusal::Forbidden { action: Action::Report });
        }
        caller.demand(Feature::Moderation)?;
        if !complaint.reason.is_critical() {
            self.0.limits.check(Rule::Report, caller)?;
        }
        let description = checked(complaint.description.as_deref())?;
        let target = match complaint.target {
            TargetKind::User => self.person(caller, UserId::from_uuid(complaint.target_id), complaint.room).await?,
            TargetKind::Message => {
                self.message(caller, MessageId::from_uuid(complaint.target_id), complaint.room).await?
            }
        };
        let moderation = self.clone();
        let (caller, reason) = (caller.clone(), complaint.reason);
        // To its end even if the reporter goes: a report without its evidence is worth little.
        let filing = tokio::spawn(async move { moderation.file(&caller, target, reason, description).await });
        filing.await.unwrap_or_else(|error| Err(Refusal::Internal(error.to_string())))
    }

    async fn file(
        &self,
        caller: &Caller,
        target: Target,
        reason: ReportReason,
        description: Option<String>,
    ) -> Result<ReportId, Refusal> {
        let (store, now) = (&self.0.books.store, Time::now());
        let Target { key, subject, place, messages } = target;
        let user = subject.user_id;
        // Frozen first: what comes later is not what was reported.
        let frames = if messages.is_empty() { self.0.frames.of(user, place.room_id) } else { Vec::new() };
        let mut frozen = place.message_id.map(|id| (id, messages));
        if frozen.is_none() && frames.is_empty() {
            frozen = self.last_words(user, place.room_id).await?;
        }
        let new = NewCase {
            id: CaseId::new(),
            source: CaseSource::Report,
            key,
            label: Some(reason.as_str().to_owned()),
            priority: reason.priority(),
            subject,
            place,
            at: now,
        };
        let report = NewReport {
            id: ReportId::new(),
            reporter: Named { user_id: caller.user.id, nickname: caller.user.nickname.clone() },
            reason,
            description,
            weight: self.weight(caller, now).await?,
            at: now,
        };
        let filed = store.file_report(&new, &report).await?;
        if filed.is_new_case {
            note_case(filed.case, CaseSource::Report);
        }
        self.hide(user, reason, &filed);
        let model = self.status().model;
        if filed.again {
            // One person's word is frozen once: nobody fills a case with what says nothing.
            return Ok(filed.report);
        }
        // The report stands, even should there be no room for what it rests on.
        let told = |refusal: &Refusal| tracing::error!(case = %filed.case, ?refusal, "evidence could not be kept");
        for frame in &frames {
            let kept = self.0.books.keep_frame(filed.case, frame, None, model.clone()).await;
            kept.unwrap_or_else(|refusal| told(&refusal));
        }
        if let Some((reported_id, messages)) = frozen {
            let frozen = Frozen { reported_id, messages: &messages };
            let json = serde_json::to_vec(&frozen).map_err(|error| Refusal::Internal(error.to_string()))?;
            let kept = self.0.books.keep_messages(filed.case, json, now).await;
            kept.unwrap_or_else(|refusal| told(&refusal));
        }
        // Strangers part: nobody has to go on with whom they report.
        self.0.matching.reported(caller.user.id, user);
        Ok(filed.report)
    }

    /// What is critical, or what many say, strangers do not see until somebody has decided.
    fn hide(&self, user: UserId, reason: ReportReason, filed: &Filed) {
        if reason.is_critical() || filed.is_weighty {
            // Without a watch nothing is shown that was not looked at.
            let _ = self.0.orders.send(Order::Reported(user, true));
        }
    }

    /// A person whom the caller shares a room with, or did in the room that they name.
    async fn person(&self, caller: &Caller, user: UserId, room: Option<RoomId>) -> Result<Target, Refusal> {
        let store = &self.0.books.store;
        if user == caller.user.id {
            return Err(Refusal::bad_request("targetId", "You cannot report yourself."));
        }
        let person = store.user(user).await?.ok_or(Refusal::NotFound)?.user;
        let room = match room {
            Some(room) => {
                // Whoever left or was put out of the room has been there.
                if !self.has_been_in(caller.user.id, room).await? || !self.has_been_in(user, room).await? {
                    return Err(Refusal::NotFound);
                }
                room
            }
            None => store.common_room(caller.user.id, user).await?.ok_or(Refusal::NotFound)?,
        };
        let mut place = Place { room_id: Some(room), ..Place::default() };
        let mut tracks = self.0.rooms.tracks_of(user);
        tracks.retain(|track| track.room == room);
        // The camera, if there is one.
        tracks.sort_by_key(|track| track.source != TrackSource::Camera);
        if let Some(track) = tracks.first() {
            place.call_id = Some(track.call);
            place.participant_id = Some(track.participant);
            place.track_id = Some(track.track);
            place.track_source = Some(track.source);
        }
        let subject = Named { user_id: user, nickname: person.nickname };
        Ok(Target { key: CaseKey::Person(user), subject, place, messages: Vec::new() })
    }

    /// Whether somebody belongs to a room, or was there: they were put out, wrote something, or were just seen.
    async fn has_been_in(&self, user: UserId, room: RoomId) -> Result<bool, Refusal> {
        Ok(self.0.books.store.has_been_in(room, user).await? || !self.0.frames.of(user, Some(room)).is_empty())
    }

    /// The last thing that somebody wrote in a room, among what stands around it.
    async fn last_words(
        &self,
        user: UserId,
        room: Option<RoomId>,
    ) -> Result<Option<(MessageId, Vec<Message>)>, Refusal> {
        let store = &self.0.books.store;
        let Some(room) = room else { return Ok(None) };
        let newest = store.messages(room, STATE_MESSAGES, None).await?.unwrap_or_default();
        let Some(last) = newest.iter().find(|message| message.sender.id == user).map(|message| message.id) else {
            return Ok(None);
        };
        Ok(store.messages_around(room, last, AROUND).await?.map(|messages| (last, messages)))
    }

    /// A message of a room that the caller belongs to.
    async fn message(&self, caller: &Caller, id: MessageId, room: Option<RoomId>) -> Result<Target, Refusal> {
        let store = &self.0.books.store;
        let room = room.ok_or_else(|| Refusal::bad_request("roomId", "Name the room that the message is in."))?;
        if !matches!(store.membership(room, caller.user.id).await?, Membership::Member(_)) {
            return Err(Refusal::NotFound);
        }
        let messages = store.messages_around(room, id, AROUND).await?.ok_or(Refusal::NotFound)?;
        let reported = messages.iter().find(|message| message.id == id).ok_or(Refusal::NotFound)?;
        let sender = reported.sender.clone();
        if sender.id == caller.user.id {
            return Err(Refusal::bad_request("targetId", "You cannot report yourself."));
        }
        let place = Place { room_id: Some(room), message_id: Some(id), ..Place::default() };
        let subject = Named { user_id: sender.id, nickname: sender.nickname };
        Ok(Target { key: CaseKey::Message(id), subject, place, messages })
    }

    /// What somebody's word weighs, in hundredths of an ordinary person's: who cried wolf is heard less, so that a crowd of them
    /// cannot hide whom they like.
    async fn weight(&self, caller: &Caller, now: Time) -> Result<u32, Refusal> {
        if caller.user.role >= SiteRole::Moderator {
            return Ok(300);
        }
        let since = now.as_ms().saturating_sub(i64::try_from(REPUTATION.as_millis()).unwrap_or(i64::MAX));
        let reputation = self.0.books.store.reputation(caller.user.id, Time::from_ms(since)).await?;
        Ok(weight_of(reputation))
    }
}

fn weight_of(Reputation { upheld, dismissed }: Reputation) -> u32 {
    match (upheld, dismissed) {
        (upheld, dismissed) if dismissed >= 2 && dismissed > upheld => 25,
        (3.., 0) => 150,
        _ => 100,
    }
}

fn checked(description: Option<&str>) -> Result<Option<String>, Refusal> {
    let description = description.map(str::trim).filter(|text| !text.is_empty());
    if description.is_some_and(|text| text.chars().count() > DESCRIPTION_LIMIT || text.contains('\0')) {
        let why = format!("A description has up to {DESCRIPTION_LIMIT} characters.");
        return Err(Refusal::bad_request("description", why));
    }
    Ok(description.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cried_wolf_is_heard_less() {
        let weight = |upheld, dismissed| weight_of(Reputation { upheld, dismissed });
        assert_eq!(weight(0, 0), 100);
        assert_eq!(weight(0, 1), 100, "anybody may be wrong once");
        assert_eq!(weight(0, 2), 25);
        assert_eq!(weight(5, 2), 100);
        assert_eq!(weight(3, 0), 150);
    }
}
