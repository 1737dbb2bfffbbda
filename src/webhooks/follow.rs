//! Sending: looking for what is due, and following each room in order.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom as _, SystemRandom};

use super::send::{Failure, Parcel, Tried, parcel};
use super::{Busy, Webhooks, offset_of};
use crate::domain::{
    DeliveryId, Event, Notice, Refusal, RoomId, SiteRole, Time, Told, WebhookId,
    webhook::{Delivery, DeliveryState, Disabled, DisabledReason, Webhook, WebhookEvent},
};
use crate::metrics::{WEBHOOK_SECONDS, WEBHOOKS_SENT};
use crate::store::{Due, SealedWebhook};

/// Events that are read of a room's stream at once.
const BATCH: u32 = 32;
/// Rooms that are looked at in one turn.
const TURN: u32 = 256;
/// Events on their way at once of one webhook, of all of one person, and of all whose last one did not arrive: slow receivers leave places
/// to others, however many of them somebody names.
const AT_ONCE_EACH: usize = 4;
const AT_ONCE_MAKER: usize = 8;
const AT_ONCE_FAILING: usize = 16;
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

impl Webhooks {
    /// Sends what is due, until it is stopped.
    pub(super) async fn keep_sending(self) {
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
            // Who has a place gives it back, and says so.
            let Ok(place) = self.0.places.clone().try_acquire_owned() else { return Ok(()) };
            let Some(following) = self.take(&due) else { continue };
            let this = self.clone();
            tokio::spawn(async move {
                let followed = this.follow(due).await;
                drop(following);
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

    /// The right to follow this room for this webhook, unless somebody has it, or too many like it are under way.
    fn take(&self, due: &Due) -> Option<Following> {
        let mut busy = self.0.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if !has_place(&busy, due) {
            return None;
        }
        busy.insert((due.webhook, due.room), (due.maker, due.failing));
        Some(Following { webhooks: self.clone(), webhook: due.webhook, room: due.room })
    }

    /// Sends a room's events one after the other, until there are no more, or one does not arrive.
    async fn follow(&self, mut due: Due) -> Result<(), Refusal> {
        loop {
            let mut kept = due.offset;
            let events = self.0.ground.store.events_after(due.room, due.offset, BATCH).await?;
            if events.is_empty() {
                return Ok(());
            }
            for event in events {
                if self.0.places.is_closed() || !self.sends_here().await? {
                    return Ok(());
                }
                let Some(sealed) = self.0.ground.store.webhook(due.webhook).await? else { return Ok(()) };
                if sealed.webhook.disabled.is_some() || !self.tell(&mut due, &mut kept, &sealed, &event).await? {
                    return Ok(());
                }
            }
            self.keep_place(&due, &mut kept).await?;
        }
    }

    /// Keeps that all up to `due` has arrived, or need not, unless that is known.
    async fn keep_place(&self, due: &Due, kept: &mut u64) -> Result<(), Refusal> {
        if due.offset > *kept {
            self.0.ground.store.place_webhook(due, due.offset, false).await?;
            *kept = due.offset;
        }
        Ok(())
    }

    /// Brings one event where it is wanted. Whether the next one may follow. `kept`: up to where the database knows that.
    async fn tell(
        &self,
        due: &mut Due,
        kept: &mut u64,
        sealed: &SealedWebhook,
        event: &Event,
    ) -> Result<bool, Refusal> {
        let (store, now) = (&self.0.ground.store, Time::now());
        let (first_at, offset) = (due.tried_first_at.unwrap_or(now), offset_of(event));
        let kind = WebhookEvent::of(&event.fact).filter(|kind| sealed.webhook.events.contains(kind));
        let Some((kind, parcel)) = kind.zip(parcel(event, first_at)) else {
            // Nobody wants it: no reason to write each time.
            due.pass(offset);
            return Ok(true);
        };
        self.keep_place(due, kept).await?;
        let Some(maker) = self.maker(&sealed.webhook).await? else {
            self.disable(&sealed.webhook, DisabledReason::Barred).await?;
            return Ok(false);
        };
        let failure = match self.try_once(sealed, &parcel, maker).await {
            Tried::Arrived => {
                store.place_webhook(due, offset, true).await?;
                due.pass(offset);
                *kept = offset;
                return Ok(true);
            }
            Tried::Gone => {
                self.disable(&sealed.webhook, DisabledReason::Gone).await?;
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
            due.pass(offset);
            *kept = offset;
            return Ok(true);
        };
        let wait = failure.wait.unwrap_or_default().min(LONGEST_WAIT).max(spread(wait));
        let since = store.fail_webhook(due, first_at, now, Time::now().after(wait)).await?;
        if now.as_ms() - since.as_ms() >= i64::try_from(self.0.config.disable_after_ms).unwrap_or(i64::MAX) {
            self.disable(&sealed.webhook, DisabledReason::Failing).await?;
        }
        Ok(false)
    }

    /// Sends it once. `maker`: what whoever made the webhook is on the site.
    pub(super) async fn try_once(&self, sealed: &SealedWebhook, parcel: &Parcel, maker: SiteRole) -> Tried {
        let (now, began) = (Time::now(), Instant::now());
        let tried = match self.0.seal.secrets(sealed, now) {
            Some(secrets) => self.0.sender.send(&sealed.webhook.url, maker, &secrets, parcel, now).await,
            None => {
                let why = "The secret of this webhook does not open any more: make another.".to_owned();
                Tried::Failed(Failure { why, ..Failure::default() })
            }
        };
        let result = match &tried {
            Tried::Arrived => "arrived",
            Tried::Failed(_) => "failed",
            Tried::Gone => "gone",
        };
        metrics::counter!(WEBHOOKS_SENT, "result" => result).increment(1);
        metrics::histogram!(WEBHOOK_SECONDS).record(began.elapsed().as_secs_f64());
        tried
    }

    /// Switches a webhook off, and tells whoever keeps it.
    async fn disable(&self, webhook: &Webhook, reason: DisabledReason) -> Result<(), Refusal> {
        let (store, id) = (&self.0.ground.store, webhook.id);
        if !store.disable_webhook(id, Disabled { at: Time::now(), reason }).await? {
            return Ok(());
        }
        tracing::warn!(webhook = %id, reason = reason.as_str(), "a webhook is switched off");
        // Whoever may keep it no more has nothing to do with it; the room's owner has.
        let keeper = match (reason, webhook.room) {
            (DisabledReason::Barred, None) => None,
            (DisabledReason::Barred, Some(room)) => store.owner_of(room).await?,
            _ => Some(webhook.created_by),
        };
        if let Some(keeper) = keeper {
            let told = Told::WebhookDisabled { webhook: id, room: webhook.room, reason };
            self.0.ground.bus.notify(&Notice::to_user(keeper, told));
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

/// The right to follow a room for a webhook. It is given back when this is dropped.
struct Following {
    webhooks: Webhooks,
    webhook: WebhookId,
    room: RoomId,
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut busy = self.webhooks.0.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.remove(&(self.webhook, self.room));
    }
}

/// Whether nobody follows this room for this webhook yet, and not too many like it are under way.
fn has_place(busy: &Busy, due: &Due) -> bool {
    let of_it = busy.keys().filter(|(webhook, _)| *webhook == due.webhook).count();
    let of_maker = busy.values().filter(|(maker, _)| *maker == due.maker).count();
    let failing = busy.values().filter(|(_, failing)| *failing).count();
    let is_free = !busy.contains_key(&(due.webhook, due.room));
    is_free && of_it < AT_ONCE_EACH && of_maker < AT_ONCE_MAKER && !(due.failing && failing >= AT_ONCE_FAILING)
}

/// That long, and up to a tenth more.
fn spread(wait_ms: u64) -> Duration {
    let mut chance = [0];
    // Without chance they come back together, which is no harm to what is sent.
    let _ = SystemRandom::new().fill(&mut chance);
    Duration::from_millis(wait_ms + wait_ms * u64::from(chance[0]) / 2_550)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::UserId;

    fn due(maker: UserId, failing: bool) -> Due {
        let (webhook, room) = (WebhookId::new(), RoomId::new());
        Due { webhook, room, maker, failing, offset: 0, attempts: 0, tried_first_at: None }
    }

    /// So many of these as find a place.
    fn placed(busy: &mut Busy, dues: impl Iterator<Item = Due>) -> usize {
        let mut count = 0;
        for due in dues {
            if has_place(busy, &due) {
                busy.insert((due.webhook, due.room), (due.maker, due.failing));
                count += 1;
            }
        }
        count
    }

    #[test]
    fn nobody_takes_all_places() {
        let (ada, mut busy) = (UserId::new(), Busy::new());
        let one = due(ada, false);
        let rooms = |due: Due| (0..100).map(move |_| Due { room: RoomId::new(), ..due });
        assert_eq!(placed(&mut busy, rooms(one)), AT_ONCE_EACH);
        assert_eq!(placed(&mut busy, (0..100).map(|_| due(ada, false))), AT_ONCE_MAKER - AT_ONCE_EACH);
        assert_eq!(placed(&mut busy, (0..100).map(|_| due(UserId::new(), true))), AT_ONCE_FAILING);
        let well = due(UserId::new(), false);
        assert_eq!(placed(&mut busy, [well, well].into_iter()), 1, "and nobody follows a room twice");
    }
}
