//! Telling other programs what happens in rooms, at least once, and in each room in order.
//!
//! Nothing is copied: a webhook has a place in the durable stream of each room, and what lies behind it is still to be sent. So nothing is
//! lost by a stop, and what was under way then is sent again. One node sends; whoever holds the seat of it.

mod send;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use ring::aead::{self, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

use crate::domain::{
    Action, Caller, DeliveryId, Event, NodeId, Refusal, RoomId, Time, WebhookId, can,
    webhook::{Delivery, DeliveryState, Disabled, DisabledReason, Webhook, WebhookEvent},
};
use crate::metrics::{WEBHOOK_SECONDS, WEBHOOKS_SENT};
use crate::previews::networks;
use crate::rooms::Rooms;
use crate::store::{Due, SealedWebhook, Store, WEBHOOKS};
use send::{Failure, Parcel, SECRET_PREFIX, Sender, Tried, parcel};

/// What a secret has, in bytes; the specification wants 24 to 64.
const SECRET_BYTES: usize = 32;
/// How long the former secret signs as well after another was made.
const OVERLAP: Duration = Duration::from_secs(24 * 3600);
/// Events that are read of a room's stream at once.
const BATCH: u32 = 32;
/// Rooms that are looked at in one turn.
const TURN: u32 = 256;
/// Events on their way at once, and those of one webhook: a slow receiver leaves places to others.
const AT_ONCE: usize = 16;
const AT_ONCE_EACH: usize = 4;
/// How often it is looked for what other nodes have written, and for what is to be tried again.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Looking takes at most this part of the time.
const REST: u32 = 20;
/// How long it is believed that this node is the one that sends.
const SEAT_HELD: Duration = Duration::from_secs(5);
/// How long what was given up is kept, and how often it is looked through.
const DEAD_KEPT_MS: i64 = 30 * 24 * 3600 * 1000;
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// The longest that a receiver can ask to be left alone.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);
/// What lives on the node that sends.
const SEAT: &str = "webhooks";
/// Deliveries that one page has at most.
pub const DELIVERIES_LIMIT: u32 = 100;

/// Settings of webhooks (`PARLOR_WEBHOOKS__…`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether there are any.
    pub enabled: bool,
    /// How long a receiver may take to answer, in milliseconds.
    pub timeout_ms: u64,
    /// How long after each failed try the next one comes, in milliseconds; after the last one an event is given up. A tenth is added by
    /// chance, so that not all come back at once.
    pub retry_ms: Vec<u64>,
    /// A webhook where nothing has arrived for so long is switched off, in milliseconds.
    pub disable_after_ms: u64,
    /// Networks of one's own that may be sent to, also without encryption: this machine, an intranet.
    #[serde(deserialize_with = "networks")]
    pub own_networks: Vec<IpNet>,
}

impl Default for Config {
    fn default() -> Self {
        const MINUTE_MS: u64 = 60_000;
        const HOUR_MS: u64 = 60 * MINUTE_MS;
        Self {
            enabled: true,
            timeout_ms: 10_000,
            // The schedule that Standard Webhooks gives as its example: over three days.
            retry_ms: vec![
                5_000,
                5 * MINUTE_MS,
                30 * MINUTE_MS,
                2 * HOUR_MS,
                5 * HOUR_MS,
                10 * HOUR_MS,
                14 * HOUR_MS,
                20 * HOUR_MS,
                24 * HOUR_MS,
            ],
            disable_after_ms: 5 * 24 * HOUR_MS,
            own_networks: Vec::new(),
        }
    }
}

/// What webhooks rest on.
pub struct Ground {
    /// Where rooms' streams are.
    pub store: Store,
    /// Who may what there.
    pub rooms: Rooms,
    /// This node, if it is one of several.
    pub node: Option<NodeId>,
    /// Told when something was committed.
    pub wake: Arc<Notify>,
}

/// Webhooks. Clones share them.
#[derive(Clone)]
pub struct Webhooks(Arc<Inner>);

struct Inner {
    config: Config,
    ground: Ground,
    seal: LessSafeKey,
    sender: Sender,
    places: Arc<Semaphore>,
    busy: Mutex<HashMap<(WebhookId, RoomId), ()>>,
    seat: Mutex<Option<Instant>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// A webhook, as somebody wants it.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// Of which room; `None`: of all.
    pub room: Option<RoomId>,
    /// Where to.
    pub url: String,
    /// Which events.
    pub events: Vec<WebhookEvent>,
}

/// What is to be another of a webhook.
#[derive(Clone, Debug, Default)]
pub struct WebhookChange {
    /// Where to.
    pub url: Option<String>,
    /// Which events.
    pub events: Option<Vec<WebhookEvent>>,
    /// Whether anything is sent.
    pub enabled: Option<bool>,
}

impl Webhooks {
    /// Ready, and sending. `secret` is the server's.
    ///
    /// # Errors
    /// When there is no HTTP client to be had.
    pub fn start(config: Config, ground: Ground, secret: &[u8]) -> Result<Self, reqwest::Error> {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), b"parlor: secrets of webhooks");
        let seal = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, tag.as_ref()).expect("32 bytes are a key"));
        let (sender, enabled) = (Sender::new(&config)?, config.enabled);
        let (busy, seat, task) = (Mutex::default(), Mutex::default(), Mutex::default());
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let this = Self(Arc::new(Inner { config, ground, seal, sender, places, busy, seat, task }));
        if enabled {
            let sending = tokio::spawn(this.clone().keep_sending());
            *this.0.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(sending);
        }
        Ok(this)
    }

    /// Sends no more. What is under way is sent again by the next start.
    pub fn stop(&self) {
        if let Some(task) = self.0.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
        self.0.places.close();
    }

    /// Makes a webhook; and its secret, which nobody is told again. Owners, for their room; administrators, for all.
    ///
    /// # Errors
    /// `feature_off`, `forbidden`, `not_found`, `bad_request` (`url`, `events`, `roomId`: nothing leaves it), `too_many`, `internal`.
    pub async fn create(&self, caller: &Caller, new: NewWebhook) -> Result<(Webhook, String), Refusal> {
        if !self.0.config.enabled {
            return Err(Refusal::FeatureOff { feature: "webhooks" });
        }
        self.permit(caller, new.room).await?;
        let url = self.0.sender.checked(&new.url)?;
        let id = WebhookId::new();
        let webhook = Webhook {
            id,
            room: new.room,
            created_by: caller.user.id,
            url: url.into(),
            events: in_order(&new.events)?,
            created_at: Time::now(),
            failing_since: None,
            disabled: None,
            revision: 1,
        };
        let secret = new_secret()?;
        if self.0.ground.store.webhooks(new.room).await?.len() >= WEBHOOKS {
            let limit = u32::try_from(WEBHOOKS).expect("it is a small number");
            return Err(Refusal::TooMany { what: "webhooks", limit });
        }
        if !self.0.ground.store.add_webhook(&webhook, &self.sealed(id, &secret)).await? {
            return Err(Refusal::bad_request("roomId", "What happens in this room is told to no other program."));
        }
        tracing::info!(webhook = %id, by = %caller.user.id, "a webhook is made");
        Ok((webhook, told(&secret)))
    }

    /// The webhooks of a room, or those of all rooms; oldest first.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `internal`.
    pub async fn list(&self, caller: &Caller, room: Option<RoomId>) -> Result<Vec<Webhook>, Refusal> {
        self.permit(caller, room).await?;
        Ok(self.0.ground.store.webhooks(room).await?)
    }

    /// One webhook.
    ///
    /// # Errors
    /// `not_found` (also whose room is not the caller's), `internal`.
    pub async fn show(&self, caller: &Caller, id: WebhookId) -> Result<Webhook, Refusal> {
        self.of(caller, id).await.map(|it| it.webhook)
    }

    /// Changes a webhook that is still what the caller saw, by its revision; any, when none is named. Switched on again, it goes on where
    /// it was.
    ///
    /// # Errors
    /// `not_found`, `bad_request` (`url`, `events`), `precondition_failed`, `internal`.
    pub async fn change(
        &self,
        caller: &Caller,
        id: WebhookId,
        change: WebhookChange,
        revision: Option<u64>,
    ) -> Result<Webhook, Refusal> {
        let mut webhook = self.of(caller, id).await?.webhook;
        let seen = revision.unwrap_or(webhook.revision);
        if let Some(url) = change.url {
            webhook.url = self.0.sender.checked(&url)?.into();
        }
        if let Some(events) = change.events {
            webhook.events = in_order(&events)?;
        }
        match change.enabled {
            Some(true) => (webhook.disabled, webhook.failing_since) = (None, None),
            Some(false) if webhook.disabled.is_none() => {
                webhook.disabled = Some(Disabled { at: Time::now(), reason: DisabledReason::Wanted });
            }
            _ => {}
        }
        if !self.0.ground.store.change_webhook(&webhook, seen).await? {
            return Err(Refusal::Outdated);
        }
        self.0.ground.wake.notify_one();
        Ok(Webhook { revision: seen + 1, ..webhook })
    }

    /// Makes another secret. For a day both sign.
    ///
    /// # Errors
    /// `not_found`, `internal`.
    pub async fn rotate(&self, caller: &Caller, id: WebhookId) -> Result<String, Refusal> {
        self.of(caller, id).await?;
        let secret = new_secret()?;
        let until = Time::now().after(OVERLAP);
        if !self.0.ground.store.rotate_webhook(id, &self.sealed(id, &secret), until).await? {
            return Err(Refusal::NotFound);
        }
        Ok(told(&secret))
    }

    /// Forgets a webhook.
    ///
    /// # Errors
    /// `not_found`, `internal`.
    pub async fn remove(&self, caller: &Caller, id: WebhookId) -> Result<(), Refusal> {
        self.of(caller, id).await?;
        if self.0.ground.store.remove_webhook(id).await? { Ok(()) } else { Err(Refusal::NotFound) }
    }

    /// Events that were given up, the latest first, behind one of them.
    ///
    /// # Errors
    /// `not_found`, `internal`.
    pub async fn deliveries(
        &self,
        caller: &Caller,
        id: WebhookId,
        state: DeliveryState,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<Delivery>, Refusal> {
        self.of(caller, id).await?;
        let limit = limit.clamp(1, DELIVERIES_LIMIT);
        Ok(self.0.ground.store.deliveries(id, state, before, limit).await?)
    }

    /// Sends one of them once more, now; what came of it.
    ///
    /// # Errors
    /// `not_found` (also when the room has the event no more), `internal`.
    pub async fn replay(&self, caller: &Caller, id: WebhookId, delivery: DeliveryId) -> Result<Delivery, Refusal> {
        let sealed = self.of(caller, id).await?;
        let store = &self.0.ground.store;
        let mut delivery = store.delivery(id, delivery).await?.ok_or(Refusal::NotFound)?;
        let events = store.events_after(delivery.room, delivery.offset.saturating_sub(1), 1).await?;
        let event = events.into_iter().find(|event| offset_of(event) == delivery.offset).ok_or(Refusal::NotFound)?;
        let parcel = parcel(&event, delivery.created_at).ok_or(Refusal::NotFound)?;
        let tried = self.try_once(&sealed, &parcel).await?;
        delivery.attempts = delivery.attempts.saturating_add(1);
        delivery.updated_at = Time::now();
        (delivery.state, delivery.status, delivery.error) = match tried {
            Tried::Arrived => (DeliveryState::Delivered, None, None),
            Tried::Gone => (DeliveryState::Dead, Some(410), Some("The receiver answered 410 Gone.".to_owned())),
            Tried::Failed(Failure { status, why, .. }) => (DeliveryState::Dead, status, Some(why)),
        };
        store.keep_delivery(&delivery).await?;
        Ok(delivery)
    }

    /// Refuses whoever may not say where these events go.
    async fn permit(&self, caller: &Caller, room: Option<RoomId>) -> Result<(), Refusal> {
        const ACTION: Action = Action::Webhooks;
        let may = match room {
            Some(room) => can(self.0.ground.rooms.visit(caller, room).await?.standing(), ACTION),
            None => can(caller.standing(), ACTION),
        };
        if may { Ok(()) } else { Err(Refusal::Forbidden { action: ACTION }) }
    }

    /// The webhook, for who may see it; nobody else learns that it is there.
    async fn of(&self, caller: &Caller, id: WebhookId) -> Result<SealedWebhook, Refusal> {
        let sealed = self.0.ground.store.webhook(id).await?.ok_or(Refusal::NotFound)?;
        match self.permit(caller, sealed.webhook.room).await {
            Ok(()) => Ok(sealed),
            Err(Refusal::Internal(why)) => Err(Refusal::Internal(why)),
            Err(_) => Err(Refusal::NotFound),
        }
    }

    /// A secret, as the database may have it.
    fn sealed(&self, id: WebhookId, secret: &[u8]) -> Vec<u8> {
        let mut nonce = [0; aead::NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).expect("the operating system has randomness");
        let mut text = secret.to_vec();
        let aad = Aad::from(*id.as_uuid().as_bytes());
        let key = Nonce::assume_unique_for_key(nonce);
        self.0.seal.seal_in_place_append_tag(key, aad, &mut text).expect("a secret is short");
        [&nonce[..], &text].concat()
    }

    fn opened(&self, id: WebhookId, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_at_checked(aead::NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let aad = Aad::from(*id.as_uuid().as_bytes());
        self.0.seal.open_in_place(nonce, aad, &mut text).ok().map(|plain| plain.to_vec())
    }

    /// Sends what is due, until it is stopped.
    async fn keep_sending(self) {
        let mut swept: Option<Instant> = None;
        loop {
            let began = Instant::now();
            if let Err(error) = self.turn(&mut swept).await {
                tracing::warn!(?error, "what webhooks are to be told could not be looked for");
            }
            // However many rooms there are, looking for what is due never takes more than a small part of the time.
            tokio::time::sleep(began.elapsed() * REST).await;
            let _ = tokio::time::timeout(LOOK_EVERY, self.0.ground.wake.notified()).await;
        }
    }

    /// One look at all webhooks. Rooms are followed beside it, each in order.
    async fn turn(&self, swept: &mut Option<Instant>) -> Result<(), Refusal> {
        let store = &self.0.ground.store;
        if !store.has_webhooks().await? || !self.sends_here().await? {
            return Ok(());
        }
        if swept.is_none_or(|last| last.elapsed() >= SWEEP_EVERY) {
            store.sweep_deliveries(Time::from_ms(Time::now().as_ms() - DEAD_KEPT_MS)).await?;
            *swept = Some(Instant::now());
        }
        for due in store.due_webhooks(Time::now(), TURN).await? {
            if !self.take(&due) {
                continue;
            }
            let Ok(place) = self.0.places.clone().acquire_owned().await else { return Ok(()) };
            let this = self.clone();
            tokio::spawn(async move {
                let followed = this.follow(due).await;
                this.0.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&(due.webhook, due.room));
                drop(place);
                match followed {
                    // There may be more, for which there was no place.
                    Ok(()) => this.0.ground.wake.notify_one(),
                    Err(error) => tracing::warn!(?error, "a webhook could not be told; it is tried again"),
                }
            });
        }
        Ok(())
    }

    /// Whether nobody else follows this room for this webhook, which has not too many under way.
    fn take(&self, due: &Due) -> bool {
        let mut busy = self.0.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let of_it = busy.keys().filter(|(webhook, _)| *webhook == due.webhook).count();
        of_it < AT_ONCE_EACH && busy.insert((due.webhook, due.room), ()).is_none()
    }

    /// Sends a room's events one after the other, until there are no more, or one does not arrive.
    async fn follow(&self, mut due: Due) -> Result<(), Refusal> {
        loop {
            let events = self.0.ground.store.events_after(due.room, due.offset, BATCH).await?;
            if events.is_empty() {
                return Ok(());
            }
            for event in events {
                if self.0.places.is_closed() || !self.sends_here().await? {
                    return Ok(());
                }
                let Some(sealed) = self.0.ground.store.webhook(due.webhook).await? else { return Ok(()) };
                if sealed.webhook.disabled.is_some() || !self.tell(&mut due, &sealed, &event).await? {
                    return Ok(());
                }
            }
        }
    }

    /// Brings one event where it is wanted. Whether the next one may follow.
    async fn tell(&self, due: &mut Due, sealed: &SealedWebhook, event: &Event) -> Result<bool, Refusal> {
        let (store, now) = (&self.0.ground.store, Time::now());
        let (first_at, offset) = (due.tried_first_at.unwrap_or(now), offset_of(event));
        let kind = WebhookEvent::of(&event.fact).filter(|kind| sealed.webhook.events.contains(kind));
        let Some((kind, parcel)) = kind.zip(parcel(event, first_at)) else {
            store.place_webhook(due, offset, false).await?;
            *due = Due { offset, attempts: 0, tried_first_at: None, ..*due };
            return Ok(true);
        };
        let failure = match self.try_once(sealed, &parcel).await? {
            Tried::Arrived => {
                store.place_webhook(due, offset, true).await?;
                *due = Due { offset, attempts: 0, tried_first_at: None, ..*due };
                return Ok(true);
            }
            Tried::Gone => {
                self.disable(due.webhook, DisabledReason::Gone).await?;
                return Ok(false);
            }
            Tried::Failed(failure) => failure,
        };
        let Some(wait) = self.0.config.retry_ms.get(due.attempts as usize).copied() else {
            metrics::counter!(WEBHOOKS_SENT, "result" => "dead").increment(1);
            let dead = Delivery {
                id: DeliveryId::new(),
                room: due.room,
                offset,
                event: kind,
                state: DeliveryState::Dead,
                attempts: due.attempts.saturating_add(1),
                status: failure.status,
                error: Some(failure.why),
                created_at: now,
                updated_at: now,
            };
            store.bury_delivery(due, &dead).await?;
            *due = Due { offset, attempts: 0, tried_first_at: None, ..*due };
            return Ok(true);
        };
        let wait = failure.wait.unwrap_or_default().min(LONGEST_WAIT).max(spread(wait));
        let since = store.fail_webhook(due, first_at, now, Time::now().after(wait)).await?;
        if now.as_ms() - since.as_ms() >= i64::try_from(self.0.config.disable_after_ms).unwrap_or(i64::MAX) {
            self.disable(due.webhook, DisabledReason::Failing).await?;
        }
        Ok(false)
    }

    async fn try_once(&self, sealed: &SealedWebhook, parcel: &Parcel) -> Result<Tried, Refusal> {
        let (id, now, began) = (sealed.webhook.id, Time::now(), Instant::now());
        let unreadable = || Refusal::Internal("the secret of a webhook does not open".to_owned());
        let mut secrets = vec![self.opened(id, &sealed.secret).ok_or_else(unreadable)?];
        let former = sealed.former.as_ref().filter(|(_, until)| *until > now);
        secrets.extend(former.and_then(|(secret, _)| self.opened(id, secret)));
        let tried = self.0.sender.send(&sealed.webhook.url, &secrets, parcel, now).await;
        let result = match &tried {
            Tried::Arrived => "arrived",
            Tried::Failed(_) => "failed",
            Tried::Gone => "gone",
        };
        metrics::counter!(WEBHOOKS_SENT, "result" => result).increment(1);
        metrics::histogram!(WEBHOOK_SECONDS).record(began.elapsed().as_secs_f64());
        Ok(tried)
    }

    async fn disable(&self, id: WebhookId, reason: DisabledReason) -> Result<(), Refusal> {
        if self.0.ground.store.disable_webhook(id, Disabled { at: Time::now(), reason }).await? {
            tracing::warn!(webhook = %id, reason = reason.as_str(), "a webhook is switched off");
        }
        Ok(())
    }

    /// Whether this node is the one that sends.
    async fn sends_here(&self) -> Result<bool, Refusal> {
        let Some(node) = self.0.ground.node else { return Ok(true) };
        let held = *self.0.seat.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_some_and(|since| since.elapsed() < SEAT_HELD) {
            return Ok(true);
        }
        let is_ours = self.0.ground.store.take_seat_of(SEAT, node).await? == node;
        *self.0.seat.lock().unwrap_or_else(PoisonError::into_inner) = is_ours.then(Instant::now);
        Ok(is_ours)
    }
}

/// The events in the order of the list, each once.
fn in_order(wanted: &[WebhookEvent]) -> Result<Vec<WebhookEvent>, Refusal> {
    let events: Vec<_> = WebhookEvent::ALL.into_iter().filter(|event| wanted.contains(event)).collect();
    if events.is_empty() { Err(Refusal::bad_request("events", "Name at least one event.")) } else { Ok(events) }
}

fn offset_of(event: &Event) -> u64 {
    event.position.map_or(0, |at| at.offset)
}

fn new_secret() -> Result<Vec<u8>, Refusal> {
    let mut secret = vec![0; SECRET_BYTES];
    let random = SystemRandom::new().fill(&mut secret);
    random.map(|()| secret).map_err(|_| Refusal::Internal("no random numbers".to_owned()))
}

/// A secret as its owner gets it.
fn told(secret: &[u8]) -> String {
    format!("{SECRET_PREFIX}{}", STANDARD.encode(secret))
}

/// That long, and up to a tenth more.
fn spread(wait_ms: u64) -> Duration {
    let mut chance = [0];
    // Without chance they come back together, which is no harm to what is sent.
    let _ = SystemRandom::new().fill(&mut chance);
    Duration::from_millis(wait_ms + wait_ms * u64::from(chance[0]) / 2_550)
}
