//! Telling other programs what happens in rooms, at least once, and in each room in order.
//!
//! Nothing is copied: a webhook has a place in the durable stream of each room, and what lies behind it is still to be sent. So nothing is
//! lost by a stop, and what was under way then is sent again. One node sends; whoever holds the seat of it.

mod follow;
mod seal;
mod send;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ipnet::IpNet;
use serde::Deserialize;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

use crate::bus::Bus;
use crate::domain::{
    Action, Caller, DeliveryId, Event, NodeId, Refusal, RoomId, SiteRole, Standing, Time, UserId, WebhookId, can,
    webhook::{Delivery, DeliveryState, Disabled, DisabledReason, Webhook, WebhookEvent},
};
use crate::previews::networks;
use crate::rooms::Rooms;
use crate::store::{Membership, SealedWebhook, Store, WEBHOOKS};
use seal::{OVERLAP, Seal, new_secret, told};
use send::{Failure, Sender, Tried, parcel};

/// Events on their way at once; one that waits for its receiver costs a socket and little else.
const AT_ONCE: usize = 64;
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
    /// Whether everybody who owns a room may have its events sent there; else administrators alone.
    pub own_networks_for_all: bool,
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
            own_networks_for_all: false,
        }
    }
}

/// What webhooks rest on.
pub struct Ground {
    /// Where rooms' streams are.
    pub store: Store,
    /// Who may what there.
    pub rooms: Rooms,
    /// Over which owners are told.
    pub bus: Bus,
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
    seal: Seal,
    sender: Sender,
    places: Arc<Semaphore>,
    busy: Mutex<Busy>,
    seat: Mutex<Option<Instant>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// Rooms that are followed now, for which webhook: whose it is, and whether what was sent last did not arrive.
type Busy = HashMap<(WebhookId, RoomId), (UserId, bool)>;

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
        let seal = Seal::new(secret);
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
        let url = self.0.sender.checked(&new.url, caller.user.role)?;
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
        if !self.0.ground.store.add_webhook(&webhook, &self.0.seal.sealed(id, &secret)).await? {
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
    /// it was. Whoever names another address answers for it from then on, as does whoever switches one on again whose maker may keep it no
    /// more.
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
            webhook.url = self.0.sender.checked(&url, caller.user.role)?.into();
            webhook.created_by = caller.user.id;
        }
        if let Some(events) = change.events {
            webhook.events = in_order(&events)?;
        }
        match change.enabled {
            Some(true) => {
                if webhook.disabled.is_some_and(|it| it.reason == DisabledReason::Barred) {
                    webhook.created_by = caller.user.id;
                }
                (webhook.disabled, webhook.failing_since) = (None, None);
            }
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
        if !self.0.ground.store.rotate_webhook(id, &self.0.seal.sealed(id, &secret), until).await? {
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
    /// `not_found` (also when the room has the event no more), `forbidden` (whoever made the webhook may keep it no more), `internal`.
    pub async fn replay(&self, caller: &Caller, id: WebhookId, delivery: DeliveryId) -> Result<Delivery, Refusal> {
        let sealed = self.of(caller, id).await?;
        let store = &self.0.ground.store;
        let mut delivery = store.delivery(id, delivery).await?.ok_or(Refusal::NotFound)?;
        let events = store.events_after(delivery.room, delivery.offset.saturating_sub(1), 1).await?;
        let event = events.into_iter().find(|event| offset_of(event) == delivery.offset).ok_or(Refusal::NotFound)?;
        let parcel = parcel(&event, delivery.created_at).ok_or(Refusal::NotFound)?;
        let maker = self.maker(&sealed.webhook).await?.ok_or(Refusal::Forbidden { action: Action::Webhooks })?;
        let tried = self.try_once(&sealed, &parcel, maker).await;
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

    /// What whoever made a webhook is on the site; `None`: they may keep it no more. The room may be another's by now, and they may have
    /// been put out of it or of the site: nothing leaves in their name then.
    async fn maker(&self, webhook: &Webhook) -> Result<Option<SiteRole>, Refusal> {
        let (store, maker) = (&self.0.ground.store, webhook.created_by);
        let Some(person) = store.user(maker).await? else { return Ok(None) };
        let room = match webhook.room {
            None => None,
            Some(room) => match store.membership(room, maker).await? {
                Membership::Removed => return Ok(None),
                Membership::Member(role) => Some(role),
                Membership::None => None,
            },
        };
        let role = person.user.role;
        if !can(Standing::of(room, role), Action::Webhooks) {
            return Ok(None);
        }
        let is_banned = store.sentence_of_maker(maker, Time::now()).await?.is_some();
        Ok((!is_banned).then_some(role))
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
