use super::*;
use crate::domain::case::{CaseStatus, Measure, ReportReason, TargetKind};
use crate::moderation::desk::Act;

fn act(action: Measure) -> Act {
    Act { action, reason: "seen it".to_owned(), duration_s: None }
}

fn about(user: UserId, room: RoomId, reason: ReportReason) -> Complaint {
    let (target, target_id) = (TargetKind::User, user.as_uuid());
    Complaint { target, target_id, room: Some(room), reason, description: None }
}

/// A message of theirs was reported for spam.
fn lesser(of: &Publisher) -> store::NewCase {
    let user = &of.session.caller.user;
    store::NewCase {
        id: crate::domain::CaseId::new(),
        source: crate::domain::case::CaseSource::Report,
        key: store::CaseKey::Message(crate::domain::MessageId::new()),
        label: Some("spam".to_owned()),
        priority: crate::domain::case::Priority::Low,
        subject: crate::domain::case::Named { user_id: user.id, nickname: user.nickname.clone() },
        place: Default::default(),
        at: Time::now(),
    }
}

impl House {
    /// Somebody shows a drawing, and it is a case.
    async fn drawn(&self) -> (Publisher, Case) {
        let ada = self.publisher("ada").await;
        self.samples(&ada, Shown::Drawing).await;
        self.samples(&ada, Shown::Drawing).await;
        let case = self.case().await;
        // First the row, then the file.
        until("the frame is kept", async || {
            let id = self.core.store.evidence_of(case.case_id).await.unwrap().pop()?.evidence_id;
            self.moderation.0.books.files.bytes(clerk::key_of(id)).await.ok()
        })
        .await;
        (ada, case)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_moderator_stops_is_stopped() {
    let house = House::new().await;
    let mo = house.moderator("mo").await;
    let (ada, case) = house.drawn().await;
    let decided = house.moderation.act(&mo, case.case_id, act(Measure::StopTrack)).await.unwrap();
    assert_eq!((decided.status, decided.live), (CaseStatus::Resolved, true));
    assert!(house.camera(&ada).muted_by_host);
    let again = house.moderation.act(&mo, case.case_id, act(Measure::Ban)).await;
    assert!(matches!(again, Err(Refusal::CaseTaken { .. })), "{again:?}");
    assert!(house.core.store.unapplied_cases(Time::now().after(SWEEP_EVERY)).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_track_that_came_back_is_stopped_in_its_place() {
    let house = House::new().await;
    let mo = house.moderator("mo").await;
    let (ada, case) = house.drawn().await;
    let seat = house.core.rooms.seat(&ada.session, ada.room).unwrap();
    house.core.rooms.leave_call(&seat).unwrap();
    assert!(!house.moderation.case(&mo, case.case_id).await.unwrap().case.live);
    let back = house.publish(ada.session.caller.clone(), ada.room).await;
    let decided = house.moderation.act(&mo, case.case_id, act(Measure::StopTrack)).await.unwrap();
    assert!(!decided.live, "that very track is gone");
    assert!(house.camera(&back).muted_by_host, "and what took its place is stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_expires_with_its_file() {
    let house = House::new().await;
    let mo = house.moderator("mo").await;
    let (_ada, case) = house.drawn().await;
    let evidence = house.moderation.case(&mo, case.case_id).await.unwrap().evidence;
    let id = evidence[0].evidence_id;
    let file = house.folder.path().join("files/evidence").join(id.to_string());
    assert!(file.is_file());
    let day = Duration::from_secs(24 * 3600);
    house.moderation.sweep(Time::now().after(day * 89)).await.unwrap();
    assert!(file.is_file() && house.moderation.look(&mo, id).await.is_ok());
    house.moderation.sweep(Time::now().after(day * 91)).await.unwrap();
    assert!(!file.exists());
    assert_eq!(house.moderation.look(&mo, id).await, Err(Refusal::NotFound));
    let log = house.moderation.log(&mo, 100, None).await.unwrap();
    assert_eq!(log.iter().filter(|it| it.action == Deed::EvidenceExpired).count(), evidence.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_interrupted_waits_again() {
    let house = House::new().await;
    let mo = house.moderator("mo").await;
    let (_ada, case) = house.drawn().await;
    let decision = store::NewDecision {
        by: mo.user.id,
        action: Measure::Ban,
        reason: "seen it".to_owned(),
        duration_s: None,
        at: Time::now(),
        escalated_too: false,
    };
    let entry = LogEntry::by(mo.user.id, Deed::Ban).in_case(case.case_id);
    assert!(house.core.store.decide_case(case.case_id, &decision, &entry).await.unwrap());
    house.moderation.sweep(Time::now()).await.unwrap();
    assert!(house.cases().await.is_empty(), "it may be done yet");
    house.moderation.sweep(Time::now().after(CARRIED_OUT_WITHIN * 2)).await.unwrap();
    assert_eq!(house.case().await.case_id, case.case_id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_freezes_the_last_frames() {
    let house = House::new().await;
    let ada = house.publisher("ada").await;
    let ben = house.caller("ben", SiteRole::Member).await;
    house.core.rooms.join(&ben, ada.room).await.unwrap();
    let mut frames = Vec::new();
    for _ in 0..5 {
        frames.push(house.samples(&ada, Shown::Nothing).await);
    }
    house.until_status(|it| it.sampled_tracks == 1).await;
    until("all were looked at", async || {
        let kept = house.moderation.0.frames.of(ada.session.caller.user.id, None);
        (kept.len() == 3 && kept.iter().all(|it| it.scores.is_some()) && kept[2].bytes == frames[4]).then_some(())
    })
    .await;
    let nudity = about(ada.session.caller.user.id, ada.room, ReportReason::Nudity);
    house.moderation.report(&ben, nudity).await.unwrap();
    let case = house.case().await;
    assert_eq!(case.place.track_id, Some(ada.camera), "what runs can be stopped");
    let mo = house.moderator("mo").await;
    let details = house.moderation.case(&mo, case.case_id).await.unwrap();
    assert_eq!(details.evidence.len(), 3);
    for (evidence, frame) in details.evidence.iter().zip(&frames[2..]) {
        let (_, bytes) = house.moderation.look(&mo, evidence.evidence_id).await.unwrap();
        assert_eq!(&bytes[20..20 + frame.len()], frame);
        assert!(evidence.scores.is_some() && evidence.model.is_some());
    }
    // Frames of who has left are there for a moment more.
    let (call, track) = (ada.call, ada.camera);
    house.samples.send(Sampled::Ended { call, track }).await.unwrap();
    house.moderation.act(&mo, case.case_id, act(Measure::StopTrack)).await.unwrap();
    assert!(house.camera(&ada).muted_by_host);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grave_report_hides_somebody_from_strangers_at_once() {
    let house = House::new().await;
    let [ada, ben] = house.strangers().await;
    house.samples(&ada, Shown::Nothing).await;
    house.until_cleared(&ada, true).await;
    let user = ada.session.caller.user.id;
    let threats = about(user, ada.room, ReportReason::Threats);
    house.moderation.report(&ben.session.caller, threats).await.unwrap();
    house.until_cleared(&ada, false).await;
    house.samples(&ada, Shown::Nothing).await;
    let case = house.case().await;
    let mo = house.moderator("mo").await;
    // A lesser case about the same person says nothing of this one.
    let said = house.core.store.open_case(&lesser(&ada)).await.unwrap().0;
    house.moderation.act(&mo, said, act(Measure::Dismiss)).await.unwrap();
    let [other, _] = house.strangers().await;
    house.samples(&ada, Shown::Nothing).await;
    house.samples(&other, Shown::Nothing).await;
    house.until_cleared(&other, true).await;
    assert!(!house.camera(&ada).cleared, "the order and the samples before other's were followed");
    house.moderation.act(&mo, case.case_id, act(Measure::Dismiss)).await.unwrap();
    house.samples(&ada, Shown::Nothing).await;
    house.until_cleared(&ada, true).await;
}
