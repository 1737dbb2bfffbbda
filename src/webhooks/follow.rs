//! Sending: looking for what is due, and following each room in order.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom as _, SystemRandom};

use super::send::{Parcel, Tried, parcel};
use super::{Webhooks, offset_of};
use crate::domain::{
    DeliveryId, Event, Refusal, Time, WebhookId,
    webhook::{Delivery, DeliveryState, Disabled, DisabledReason, WebhookEvent},
};
use crate::metrics::{WEBHOOK_SECONDS, WEBHOOKS_SENT};
use crate::store::{Due, SealedWebhook};

/// Events that are read of a room's stream at once.
const BATCH: u32 = 32;
/// Rooms that are looked at in one turn.
const TURN: u32 = 256;
/// Events of one webhook on their way at once: a slow receiver leaves places to others.
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

    pub(super) async fn try_once(&self, sealed: &SealedWebhook, parcel: &Parcel) -> Result<Tried, Refusal> {
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

/// That long, and up to a tenth more.
fn spread(wait_ms: u64) -> Duration {
    let mut chance = [0];
    // Without chance they come back together, which is no harm to what is sent.
    let _ = SystemRandom::new().fill(&mut chance);
    Duration::from_millis(wait_ms + wait_ms * u64::from(chance[0]) / 2_550)
}
