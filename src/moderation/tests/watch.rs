use super::*;
use crate::domain::case::{CaseSource, Measure, Priority};
use crate::moderation::desk::Act;

fn dismiss() -> Act {
    Act { action: Measure::Dismiss, reason: "harmless".to_owned(), duration_s: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hits_are_one_case_with_the_frame() {
    let house = House::new().await;
    let ada = house.publisher("ada").await;
    house.samples(&ada, Shown::Drawing).await;
    let frame = house.samples(&ada, Shown::Drawing).await;
    let case = house.case().await;
    assert_eq!(
        (case.source, case.label.as_deref(), case.priority),
        (CaseSource::Sampler, Some("Drawing"), Priority::Medium)
    );
    assert_eq!((case.place.track_id, case.place.room_id), (Some(ada.camera), Some(ada.room)));
    assert_eq!(case.subject.nickname, "ada");
    let evidence =
        until("the frame is kept", async || house.core.store.evidence_of(case.case_id).await.unwrap().pop()).await;
    assert_eq!(evidence.scores.map(|it| it.of(Label::Drawing)), Some(0.9));
    assert_eq!((evidence.threshold, evidence.model.as_ref().map(|it| it.name.as_str())), (Some(0.5), Some("a test's")));
    let mo = house.moderator("mo").await;
    let look = async || house.moderation.look(&mo, evidence.evidence_id).await.ok();
    let (_, bytes) = until("its file is there", look).await;
    assert_eq!(bytes[20..20 + frame.len()], frame, "the very frame, in a WebP");
    for _ in 0..5 {
        house.samples(&ada, Shown::Drawing).await;
    }
    house.samples(&ada, Shown::Nothing).await;
    house.until_status(|it| it.sampled_tracks == 1 && it.unsampled_tracks == 0).await;
    assert_eq!(house.cases().await.len(), 1);
    assert!(house.camera(&ada).cleared, "among friends it is for people to decide");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_blurred_until_they_were_looked_at() {
    let house = House::new().await;
    let [ada, ben] = house.strangers().await;
    assert!(!house.camera(&ada).cleared);
    house.samples(&ada, Shown::Nothing).await;
    house.until_cleared(&ada, true).await;
    assert!(!house.camera(&ben).cleared);
    house.samples(&ada, Shown::Drawing).await;
    house.until_cleared(&ada, false).await;
    house.samples(&ada, Shown::Nothing).await;
    house.until_cleared(&ada, true).await;
    house.samples(&ada, Shown::Drawing).await;
    let case = house.case().await;
    assert_eq!(case.priority, Priority::High);
    house.samples(&ada, Shown::Nothing).await;
    house.withheld(&ben).await;
    house.until_status(|it| it.unsampled_tracks == 1).await;
    assert!(!house.camera(&ada).cleared && !house.camera(&ben).cleared);
    assert_eq!(house.cases().await.len(), 1, "who shows strangers nothing is blurred, and that is all");
    let mo = house.moderator("mo").await;
    house.moderation.act(&mo, case.case_id, dismiss()).await.unwrap();
    house.samples(&ada, Shown::Nothing).await;
    house.until_cleared(&ada, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_may_stop_the_track_at_once() {
    let policy = Policy { on_hit: Some(OnHit::Stop), hits: 1, of: 1, ..Policy::default() };
    let house = House::with(policy, Config::default(), Arc::default()).await;
    let ada = house.publisher("ada").await;
    house.samples(&ada, Shown::Drawing).await;
    until("it is stopped", async || house.camera(&ada).muted_by_host.then_some(())).await;
    let case = house.case().await;
    until("that is written down", async || {
        let log = house.core.store.log_of_case(case.case_id, 10).await.unwrap();
        log.iter().any(|it| it.action == Deed::Stopped && it.by.is_none()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_be_looked_at_is_a_case() {
    let house = House::new().await;
    let (ada, ben) = (house.publisher("ada").await, house.publisher("ben").await);
    for _ in 0..3 {
        house.samples(&ada, Shown::Garbage).await;
    }
    let case = house.case().await;
    assert_eq!((case.source, case.label, case.priority), (CaseSource::Unsampled, None, Priority::Low));
    let status = house.until_status(|it| it.unsampled_tracks == 1).await;
    assert_eq!(
        (status.state, status.reasons.as_slice()),
        (Condition::Degraded, &["One track is not looked at.".to_owned()][..])
    );
    house.withheld(&ben).await;
    house.withheld(&ben).await;
    house.until_status(|it| it.unsampled_tracks == 2).await;
    house.samples(&ada, Shown::Nothing).await;
    house.samples(&ben, Shown::Nothing).await;
    house.until_status(|it| it.state == Condition::Ok && it.sampled_tracks == 2).await;
    assert_eq!(house.cases().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_model_calls_go_on_and_it_is_told() {
    let switches = Arc::<Switches>::default();
    switches.missing.store(true, Ordering::SeqCst);
    let house = House::with(Policy::default(), Config::default(), switches).await;
    house.until_status(|it| it.state == Condition::Degraded).await;
    let [ada, _ben] = house.strangers().await;
    house.samples(&ada, Shown::Nothing).await;
    let status = house.until_status(|it| it.unsampled_tracks == 1).await;
    assert_eq!((status.reasons[0].as_str(), status.model), ("The ONNX runtime does not work.", None));
    assert!(!house.camera(&ada).cleared && house.cases().await.is_empty());
    // Somebody runs models/prepare; nobody restarts anything.
    house.switches.missing.store(false, Ordering::SeqCst);
    house.until_status(|it| it.model.is_some()).await;
    house.samples(&ada, Shown::Nothing).await;
    house.until_cleared(&ada, true).await;
    house.until_status(|it| it.state == Condition::Ok && it.sampled_tracks == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_model_an_audience_sees_nothing_for_long() {
    let switches = Arc::<Switches>::default();
    switches.missing.store(true, Ordering::SeqCst);
    let house = House::with(Policy::default(), Config::default(), switches).await;
    house.until_status(|it| it.state == Condition::Degraded).await;
    let (live, call) = (house.publisher_in(RoomKind::Live, "ada").await, house.publisher("ben").await);
    assert!(house.camera(&live).cleared, "it begins as it is");
    for _ in 0..3 {
        house.samples(&call, Shown::Nothing).await;
        house.samples(&live, Shown::Nothing).await;
    }
    house.until_cleared(&live, false).await;
    assert!(house.camera(&call).cleared && house.cases().await.is_empty(), "friends are left alone");
    house.switches.missing.store(false, Ordering::SeqCst);
    house.until_status(|it| it.model.is_some()).await;
    house.samples(&live, Shown::Nothing).await;
    house.until_cleared(&live, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_eye_that_fails_is_replaced() {
    let house = House::new().await;
    let ada = house.publisher("ada").await;
    for broken in [Shown::BadOutput, Shown::Panic] {
        let made = house.switches.made.load(Ordering::SeqCst);
        house.samples(&ada, broken).await;
        until("another eye is made", async || (house.switches.made.load(Ordering::SeqCst) > made).then_some(())).await;
        until("it looks again", async || {
            house.samples(&ada, Shown::Nothing).await;
            let status = house.moderation.status();
            (status.state == Condition::Ok && status.sampled_tracks == 1).then_some(())
        })
        .await;
    }
    assert!(house.cases().await.is_empty(), "our failures are nobody's case");
    // A model that answers nonsense to everything is told as long as it does.
    let broken = async || {
        house.samples(&ada, Shown::BadOutput).await;
        let status = house.moderation.status();
        status.reasons.iter().any(|it| it == "The model gives no probabilities.").then_some(status)
    };
    assert_eq!(until("it is told", broken).await.state, Condition::Degraded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_frames_are_told_and_forgotten() {
    let house = House::new().await;
    let (ada, ben) = (house.publisher("ada").await, house.publisher("ben").await);
    house.samples(&ben, Shown::Nothing).await;
    house.until_status(|it| it.sampled_tracks == 1).await;
    house.switches.slow.store(true, Ordering::SeqCst);
    for _ in 0..400 {
        house.samples(&ada, Shown::Nothing).await;
    }
    let status = house.until_status(|it| it.unsampled_tracks == 1).await;
    assert!(status.reasons.iter().any(|it| it == "Pictures come faster than they can be looked at."), "{status:?}");
    assert_eq!((status.state, status.sampled_tracks), (Condition::Degraded, 1), "ben was not pushed out");
    house.switches.slow.store(false, Ordering::SeqCst);
    house.until_status(|it| it.unsampled_tracks == 0 && it.sampled_tracks == 2).await;
    assert!(house.cases().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_may_switch_it_off() {
    let config = Config { sampling: false, ..Config::default() };
    let house = House::with(Policy::default(), config, Arc::default()).await;
    let status = house.until_status(|it| it.state == Condition::Off).await;
    assert_eq!(status.reasons.len(), 1);
    assert_eq!(house.switches.made.load(Ordering::SeqCst), 0, "nothing is loaded");
    house.moderation.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stops_while_a_worker_looks() {
    let house = House::new().await;
    let ada = house.publisher("ada").await;
    for _ in 0..10 {
        house.samples(&ada, Shown::Nothing).await;
    }
    tokio::time::timeout(Duration::from_secs(10), house.moderation.stop()).await.unwrap();
}
