//! Cases, reports, evidence and the log in the store, the same tests on both databases.

use std::time::Duration;

use parlor::domain::case::{Case, CaseFilter, CaseSource, CaseStatus, Measure, Named, Place, Priority, ReportReason};
use parlor::domain::evidence::{Evidence, EvidenceKind, Label, Model, Scores};
use parlor::domain::message::Author;
use parlor::domain::{CaseId, Deed, EvidenceId, LogEntry, ReportId, RoomId, Time, TrackId, TrackSource, UserId};
use parlor::store::{CaseKey, Filed, NewCase, NewDecision, NewReport, Reputation, Store};

use crate::store::{Database, house, on_both_databases, person, send};

const LEASE: Duration = Duration::from_secs(300);
const DAY: Duration = Duration::from_secs(24 * 3600);

on_both_databases!(
    one_case_waits_for_a_subject,
    many_at_once_open_one_case,
    the_list_shows_what_presses_most_first,
    a_claim_is_one_moderators_for_a_while,
    of_two_who_decide_one_does,
    an_escalated_case_is_for_administrators,
    what_was_not_carried_out_waits_again,
    reports_of_one_subject_are_one_case,
    many_reporters_count_each_once,
    trust_is_lost_by_reports_and_decisions,
    a_reporter_has_a_reputation,
    evidence_is_kept_once_and_expires,
    messages_are_frozen_with_those_around_them,
    the_log_keeps_who_did_what,
);

fn named(author: &Author) -> Named {
    Named { user_id: author.id, nickname: author.nickname.clone() }
}

fn seen(subject: &Author, room: RoomId, track: TrackId) -> NewCase {
    let place = Place {
        room_id: Some(room),
        track_id: Some(track),
        track_source: Some(TrackSource::Camera),
        ..Place::default()
    };
    NewCase {
        id: CaseId::new(),
        source: CaseSource::Sampler,
        key: CaseKey::Seen(track, Label::Drawing),
        label: Some("Drawing".to_owned()),
        priority: Priority::Medium,
        subject: named(subject),
        place,
        at: Time::now(),
    }
}

fn reported(subject: &Author, reason: ReportReason) -> NewCase {
    NewCase {
        id: CaseId::new(),
        source: CaseSource::Report,
        key: CaseKey::Person(subject.id),
        label: Some(reason.as_str().to_owned()),
        priority: reason.priority(),
        subject: named(subject),
        place: Place::default(),
        at: Time::now(),
    }
}

fn report(by: &Author, reason: ReportReason, weight: u32) -> NewReport {
    NewReport { id: ReportId::new(), reporter: named(by), reason, description: None, weight, at: Time::now() }
}

fn decision(by: &Author, action: Measure) -> NewDecision {
    NewDecision {
        by: by.id,
        action,
        reason: "seen it".to_owned(),
        duration_s: None,
        at: Time::now(),
        escalated_too: false,
    }
}

fn entry(by: &Author) -> LogEntry {
    LogEntry::by(by.id, Deed::Claimed)
}

async fn case(store: &Store, id: CaseId) -> Case {
    store.case(id, Time::now()).await.unwrap().unwrap()
}

async fn decide(store: &Store, id: CaseId, by: &Author, action: Measure) -> bool {
    store.decide_case(id, &decision(by, action), &entry(by)).await.unwrap()
}

async fn list(store: &Store, filter: CaseFilter) -> Vec<CaseId> {
    let page = store.cases(filter, 100, None, Time::now()).await.unwrap().unwrap();
    page.iter().map(|case| case.case_id).collect()
}

async fn one_case_waits_for_a_subject(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let track = TrackId::new();
    let first = seen(&ada, room, track);
    assert_eq!(store.open_case(&first).await.unwrap(), (first.id, true));
    let found = case(&store, first.id).await;
    assert_eq!(
        (found.status, found.priority, found.source),
        (CaseStatus::Pending, Priority::Medium, CaseSource::Sampler)
    );
    assert_eq!((found.subject, found.place), (named(&ada), first.place));
    assert_eq!((found.room_name.as_deref(), found.label.as_deref()), (Some("Friday"), Some("Drawing")));
    assert_eq!(store.open_case(&seen(&ada, room, track)).await.unwrap(), (first.id, false));
    let other_label = NewCase { key: CaseKey::Seen(track, Label::Porn), ..seen(&ada, room, track) };
    let unsampled = NewCase { key: CaseKey::Unsampled(track), ..seen(&ada, room, track) };
    for other in [other_label, unsampled, seen(&ada, room, TrackId::new())] {
        assert!(store.open_case(&other).await.unwrap().1, "{:?} is something else", other.key);
    }
    assert!(decide(&store, first.id, &ada, Measure::Dismiss).await);
    assert!(store.open_case(&seen(&ada, room, track)).await.unwrap().1, "what is decided waits no more");
    assert_eq!(store.waiting_cases().await.unwrap(), 4);
    assert_eq!(store.cases_about(ada.id, 3, Time::now()).await.unwrap().len(), 3);
    assert!(store.case(CaseId::new(), Time::now()).await.unwrap().is_none());
}

async fn many_at_once_open_one_case(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let track = TrackId::new();
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (store, new) = (store.clone(), seen(&ada, room, track));
        tries.spawn(async move { store.open_case(&new).await.unwrap() });
    }
    let opened = tries.join_all().await;
    assert_eq!(opened.iter().filter(|(_, is_new)| *is_new).count(), 1);
    assert!(opened.iter().all(|(id, _)| *id == opened[0].0));
}

async fn the_list_shows_what_presses_most_first(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let mut ids = Vec::new();
    for priority in [Priority::Medium, Priority::Critical, Priority::Low, Priority::Medium, Priority::Critical] {
        let new = NewCase { priority, ..seen(&ada, room, TrackId::new()) };
        ids.push(store.open_case(&new).await.unwrap().0);
    }
    let order = [ids[1], ids[4], ids[0], ids[3], ids[2]];
    assert_eq!(list(&store, CaseFilter::Open).await, order);
    let page = async |limit, before| {
        let page = store.cases(CaseFilter::Open, limit, before, Time::now()).await.unwrap()?;
        Some(page.iter().map(|case| case.case_id).collect::<Vec<_>>())
    };
    assert_eq!(page(2, None).await.unwrap(), order[..2]);
    assert_eq!(page(2, Some(order[1])).await.unwrap(), order[2..4]);
    assert_eq!(page(2, Some(order[3])).await.unwrap(), order[4..]);
    assert_eq!(page(2, Some(CaseId::new())).await, None);

    assert!(store.claim_case(ids[0], ada.id, Time::now(), LEASE, &entry(&ada)).await.unwrap());
    decide(&store, ids[1], &ada, Measure::Dismiss).await;
    decide(&store, ids[2], &ada, Measure::Ban).await;
    decide(&store, ids[3], &ada, Measure::Escalate).await;
    assert_eq!(list(&store, CaseFilter::Open).await, [ids[4], ids[0]]);
    assert_eq!(list(&store, CaseFilter::Pending).await, [ids[4]]);
    assert_eq!(list(&store, CaseFilter::Reviewing).await, [ids[0]]);
    assert_eq!(list(&store, CaseFilter::Dismissed).await, [ids[1]]);
    assert_eq!(list(&store, CaseFilter::Resolved).await, [ids[2]]);
    assert_eq!(list(&store, CaseFilter::Escalated).await, [ids[3]]);
}

async fn a_claim_is_one_moderators_for_a_while(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let (mo, max) = (person(&store, "mo").await, person(&store, "max").await);
    let (id, _) = store.open_case(&seen(&ada, room, TrackId::new())).await.unwrap();
    let now = Time::now();
    let claim = async |by: &Author, at| store.claim_case(id, by.id, at, LEASE, &entry(by).in_case(id)).await.unwrap();
    assert!(claim(&mo, now).await && claim(&mo, now).await, "one may claim again");
    assert!(!claim(&max, now).await);
    let found = case(&store, id).await;
    assert_eq!(found.status, CaseStatus::Reviewing);
    assert_eq!(found.claimed_by.map(|it| (it.by, it.until)), Some((named(&mo), now.after(LEASE))));
    let later = now.after(LEASE);
    let found = store.case(id, later).await.unwrap().unwrap();
    assert_eq!((found.status, found.claimed_by), (CaseStatus::Pending, None), "its time is over");
    assert!(claim(&max, later).await);
    assert!(!store.release_case(id, mo.id, later, &entry(&mo)).await.unwrap());
    assert!(store.release_case(id, max.id, later, &entry(&max)).await.unwrap());
    assert!(claim(&mo, now).await, "given back is free");
    assert!(decide(&store, id, &mo, Measure::Dismiss).await);
    assert!(!claim(&mo, now).await, "decided is decided");
    // Its beginning and each claim that was given are in the log, and nothing else is.
    let log = store.log_of_case(id, 100).await.unwrap();
    assert_eq!(log.len(), 5, "{log:?}");
}

async fn of_two_who_decide_one_does(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let mut moderators = Vec::new();
    for number in 0..8 {
        moderators.push(person(&store, &format!("mo-{number}")).await);
    }
    for _ in 0..10 {
        let (id, _) = store.open_case(&seen(&ada, room, TrackId::new())).await.unwrap();
        let mut tries = tokio::task::JoinSet::new();
        for mo in moderators.clone() {
            let store = store.clone();
            tries.spawn(async move { (mo.clone(), decide(&store, id, &mo, Measure::StopTrack).await) });
        }
        let decided: Vec<_> = tries.join_all().await.into_iter().filter(|(_, did)| *did).collect();
        assert_eq!(decided.len(), 1);
        let found = case(&store, id).await;
        assert_eq!(found.status, CaseStatus::Resolved);
        assert_eq!(found.decision.map(|it| (it.by, it.action)), Some((named(&decided[0].0), Measure::StopTrack)));
    }
    let (id, _) = store.open_case(&seen(&ada, room, TrackId::new())).await.unwrap();
    assert!(store.claim_case(id, moderators[0].id, Time::now(), LEASE, &entry(&moderators[0])).await.unwrap());
    assert!(!decide(&store, id, &moderators[1], Measure::Dismiss).await, "somebody else has it");
    assert!(decide(&store, id, &moderators[0], Measure::Dismiss).await);
    assert_eq!(case(&store, id).await.claimed_by, None);
}

async fn an_escalated_case_is_for_administrators(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let (mo, root) = (person(&store, "mo").await, person(&store, "root").await);
    let (id, _) = store.open_case(&seen(&ada, room, TrackId::new())).await.unwrap();
    assert!(decide(&store, id, &mo, Measure::Escalate).await);
    assert_eq!(case(&store, id).await.status, CaseStatus::Escalated);
    assert!(!decide(&store, id, &mo, Measure::Dismiss).await);
    assert!(store.claim_case(id, root.id, Time::now(), LEASE, &entry(&root)).await.unwrap());
    let ban = NewDecision { escalated_too: true, duration_s: Some(3600), ..decision(&root, Measure::Ban) };
    assert!(store.decide_case(id, &ban, &entry(&root)).await.unwrap());
    let found = case(&store, id).await;
    assert_eq!(found.status, CaseStatus::Resolved);
    assert_eq!(found.decision.map(|it| (it.action, it.duration_s)), Some((Measure::Ban, Some(3600))));
}

async fn what_was_not_carried_out_waits_again(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let track = TrackId::new();
    let (id, _) = store.open_case(&seen(&ada, room, track)).await.unwrap();
    assert!(decide(&store, id, &ada, Measure::Ban).await);
    let later = Time::now().after(Duration::from_secs(1));
    assert_eq!(store.unapplied_cases(later).await.unwrap(), [id]);
    assert!(store.reopen_case(id, later, &entry(&ada)).await.unwrap());
    let found = case(&store, id).await;
    assert_eq!((found.status, found.decision), (CaseStatus::Pending, None));
    assert!(decide(&store, id, &ada, Measure::Ban).await);
    store.applied_case(id, Time::now()).await.unwrap();
    assert!(store.unapplied_cases(later).await.unwrap().is_empty());
    assert!(!store.reopen_case(id, later, &entry(&ada)).await.unwrap(), "it was done");
    // Another one waits in its place.
    let (second, _) = store.open_case(&seen(&ada, room, track)).await.unwrap();
    assert!(decide(&store, second, &ada, Measure::Ban).await);
    assert!(store.open_case(&seen(&ada, room, track)).await.unwrap().1);
    assert!(!store.reopen_case(second, later, &entry(&ada)).await.unwrap());
}

async fn reports_of_one_subject_are_one_case(database: Database) {
    let (store, _events, ada, _) = house(&database).await;
    let (ben, cyd) = (person(&store, "ben").await, person(&store, "cyd").await);
    let file = async |by: &Author, reason, weight| -> Filed {
        store.file_report(&reported(&ada, reason), &report(by, reason, weight)).await.unwrap()
    };
    let first = file(&ben, ReportReason::Spam, 100).await;
    assert!(first.is_new_case && !first.again);
    assert_eq!(first.priority, Priority::Low);
    let again = file(&ben, ReportReason::Spam, 100).await;
    assert_eq!((again.report, again.case, again.is_new_case, again.again), (first.report, first.case, false, true));
    let graver = file(&ben, ReportReason::Threats, 100).await;
    assert_eq!((graver.report, graver.priority), (first.report, Priority::Critical));
    let found = case(&store, first.case).await;
    assert_eq!((found.report_count, found.label.as_deref()), (1, Some("threats")), "the gravest counts, once");
    assert_eq!(store.reports_of(first.case, 10).await.unwrap()[0].reason, ReportReason::Threats);
    let other = file(&cyd, ReportReason::Harassment, 100).await;
    assert_eq!((other.case, other.priority), (first.case, Priority::Critical), "it never presses less");
    assert_eq!(case(&store, first.case).await.report_count, 2);
    assert_eq!(store.report_counts(ada.id).await.unwrap(), (2, 0));
    assert_eq!(store.report_counts(ben.id).await.unwrap(), (0, 1));
    decide(&store, first.case, &cyd, Measure::Dismiss).await;
    let anew = file(&ben, ReportReason::Spam, 100).await;
    assert!(anew.is_new_case && anew.case != first.case);
}

async fn many_reporters_count_each_once(database: Database) {
    let (store, _events, ada, _) = house(&database).await;
    let mut reporters = Vec::new();
    for number in 0..10 {
        reporters.push(person(&store, &format!("ben-{number}")).await);
    }
    let mut files = tokio::task::JoinSet::new();
    for turn in 0..30 {
        let (store, by, ada) = (store.clone(), reporters[turn % reporters.len()].clone(), ada.clone());
        files.spawn(async move {
            let reason = ReportReason::Spam;
            store.file_report(&reported(&ada, reason), &report(&by, reason, 25)).await.unwrap()
        });
    }
    let filed = files.join_all().await;
    assert!(filed.iter().all(|it| it.case == filed[0].case && !it.is_weighty));
    assert_eq!(filed.iter().filter(|it| !it.again).count(), 10);
    let found = case(&store, filed[0].case).await;
    assert_eq!((found.report_count, found.priority), (10, Priority::Low), "ten who cried wolf are two and a half");
    let reason = ReportReason::Spam;
    let dot = person(&store, "dot").await;
    let last = store.file_report(&reported(&ada, reason), &report(&dot, reason, 50)).await.unwrap();
    assert!(last.is_weighty, "and with half a word more they are three");
    assert_eq!(case(&store, filed[0].case).await.priority, Priority::High);
}

async fn trust_is_lost_by_reports_and_decisions(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let (ben, cyd) = (person(&store, "ben").await, person(&store, "cyd").await);
    let now = Time::now();
    let low = async |user: UserId, at: Time| store.has_low_trust(user, at).await.unwrap();
    let file = async |by: &Author| {
        let reason = ReportReason::Harassment;
        store.file_report(&reported(&ada, reason), &report(by, reason, 100)).await.unwrap().case
    };
    let first = file(&ben).await;
    file(&ben).await;
    assert!(!low(ada.id, now).await, "one person's word");
    file(&cyd).await;
    assert!(low(ada.id, now).await && !low(ben.id, now).await);
    assert!(!low(ada.id, now.after(DAY + LEASE)).await, "a day later it is forgotten");
    decide(&store, first, &ben, Measure::Dismiss).await;
    assert!(!low(ada.id, now).await, "there was nothing to it");
    let (id, _) = store.open_case(&seen(&cyd, room, TrackId::new())).await.unwrap();
    assert!(!low(cyd.id, now).await, "not decided");
    decide(&store, id, &ben, Measure::StopTrack).await;
    assert!(low(cyd.id, now).await && low(cyd.id, now.after(DAY * 29)).await);
    assert!(!low(cyd.id, now.after(DAY * 31)).await);
}

async fn a_reporter_has_a_reputation(database: Database) {
    let (store, _events, ada, _) = house(&database).await;
    let ben = person(&store, "ben").await;
    let long_ago = Time::from_ms(0);
    assert_eq!(store.reputation(ben.id, long_ago).await.unwrap(), Reputation::default());
    for measure in [Measure::Dismiss, Measure::Ban, Measure::Dismiss, Measure::Escalate] {
        let reason = ReportReason::Harassment;
        let filed = store.file_report(&reported(&ada, reason), &report(&ben, reason, 100)).await.unwrap();
        decide(&store, filed.case, &ada, measure).await;
    }
    assert_eq!(store.reputation(ben.id, long_ago).await.unwrap(), Reputation { upheld: 1, dismissed: 2 });
    let tomorrow = Time::now().after(DAY);
    assert_eq!(store.reputation(ben.id, tomorrow).await.unwrap(), Reputation::default());
}

fn evidence(sha256: &str, expires_at: Time) -> Evidence {
    Evidence {
        evidence_id: EvidenceId::new(),
        kind: EvidenceKind::Frame,
        media_type: "image/webp".to_owned(),
        sha256: sha256.to_owned(),
        size_bytes: 1_234,
        taken_at: Time::from_ms(1_000),
        expires_at,
        width: Some(320),
        height: Some(180),
        scores: Scores::checked([0.9, 0.05, 0.05, 0.0, 0.0]),
        threshold: Some(0.7),
        model: Some(Model { name: "m".to_owned(), sha256: "ab".to_owned() }),
    }
}

async fn evidence_is_kept_once_and_expires(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let (id, _) = store.open_case(&seen(&ada, room, TrackId::new())).await.unwrap();
    let (soon, late) = (Time::from_ms(5_000), Time::from_ms(9_000));
    let first = evidence("one", soon);
    assert!(store.add_evidence(id, &first).await.unwrap());
    assert!(!store.add_evidence(id, &evidence("one", late)).await.unwrap(), "the very same");
    let found = store.evidence(first.evidence_id).await.unwrap().unwrap();
    assert_eq!((&found.evidence, found.case, found.user), (&first, id, ada.id));
    let plain =
        Evidence { width: None, height: None, scores: None, threshold: None, model: None, ..evidence("two", late) };
    assert!(store.add_evidence(id, &plain).await.unwrap());
    assert_eq!(store.evidence_of(id).await.unwrap(), [first.clone(), plain.clone()]);
    for number in 0..100 {
        store.add_evidence(id, &evidence(&format!("more {number}"), Time::now())).await.unwrap();
    }
    assert_eq!(store.evidence_of(id).await.unwrap().len(), 20, "a case has a bound");

    let expired = async |at: Time, limit| store.expired_evidence(at, limit).await.unwrap();
    assert!(expired(Time::from_ms(4_999), 10).await.is_empty());
    assert_eq!(expired(late, 10).await, [first.evidence_id, plain.evidence_id]);
    assert_eq!(expired(late, 1).await, [first.evidence_id]);
    decide(&store, id, &ada, Measure::Escalate).await;
    assert!(expired(late, 10).await.is_empty(), "an administrator has to see it");
    let entry = LogEntry::by_server(Deed::EvidenceExpired).with(first.evidence_id);
    for _ in 0..2 {
        store.forget_evidence(first.evidence_id, Some(&entry)).await.unwrap();
    }
    assert!(store.evidence(first.evidence_id).await.unwrap().is_none());
    let log = store.log_of_case(id, 100).await.unwrap();
    assert_eq!(log.iter().filter(|it| it.action == Deed::EvidenceExpired).count(), 1);
}

async fn messages_are_frozen_with_those_around_them(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(send(&store, room, &ada, &format!("c-{number}"), &format!("text {number}")).await.0);
    }
    store.delete_message(room, ids[10], ada.id, false, None).await.unwrap();
    let around = async |place: usize| -> Vec<usize> {
        let found = store.messages_around(room, ids[place], 5).await.unwrap().unwrap();
        found.iter().map(|message| ids.iter().position(|id| *id == message.id).unwrap()).collect()
    };
    assert_eq!(around(10).await, (5..=15).collect::<Vec<_>>());
    assert_eq!(around(0).await, (0..=5).collect::<Vec<_>>());
    assert_eq!(around(19).await, (14..=19).collect::<Vec<_>>());
    let found = store.messages_around(room, ids[10], 0).await.unwrap().unwrap();
    assert_eq!(
        (found[0].content.text.as_str(), found[0].deleted),
        ("text 10", true),
        "what was taken back is judged too"
    );
    let elsewhere = crate::store::room(&store, &ada, parlor::domain::Visibility::Public).await;
    assert!(store.messages_around(elsewhere, ids[0], 5).await.unwrap().is_none());
}

async fn the_log_keeps_who_did_what(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let mo = person(&store, "mo").await;
    let (case, _) = store.open_case(&seen(&ada, room, TrackId::new())).await.unwrap();
    let entry = LogEntry::by(mo.id, Deed::Ban).about(ada.id).in_case(case).in_room(Some(room));
    store.log(&entry.because("spam").lasting(Some(60))).await.unwrap();
    store.log(&LogEntry::by(mo.id, Deed::LiftBan).about(ada.id)).await.unwrap();
    let all = store.log_entries(10, None).await.unwrap();
    let deeds: Vec<_> = all.iter().map(|it| it.action).collect();
    assert_eq!(deeds, [Deed::LiftBan, Deed::Ban, Deed::Opened], "newest first");
    let ban = &all[1];
    assert_eq!((ban.by.as_ref(), ban.subject.as_ref()), (Some(&named(&mo)), Some(&named(&ada))));
    assert_eq!((ban.reason.as_deref(), ban.duration_s, ban.room_id), (Some("spam"), Some(60), Some(room)));
    assert_eq!(all[2].by, None, "the server did that");
    let older = store.log_entries(10, Some(ban.entry_id)).await.unwrap();
    assert_eq!(older, all[2..]);
    assert_eq!(store.log_entries(1, None).await.unwrap(), all[..1]);
    let of_case: Vec<_> = store.log_of_case(case, 10).await.unwrap().iter().map(|it| it.action).collect();
    assert_eq!(of_case, [Deed::Opened, Deed::Ban], "oldest first");
}
