//! Parlor wires its modules here, bottom first.

pub mod auth;
pub mod bus;
pub mod chat;
pub mod domain;
pub mod hub;
pub mod limit;
pub mod metrics;
pub mod proto;
pub mod rooms;
pub mod sfu;
pub mod store;

use std::time::Duration;

use tokio::{sync::mpsc, task::JoinHandle};

use auth::Auth;
use bus::Bus;
use chat::Chat;
use hub::Hub;
use limit::Limits;
use rooms::Rooms;
use sfu::{CallEvent, Sfu};
use store::Store;

/// How often logins that ended are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// What the core is made with.
#[derive(Clone, Debug)]
pub struct CoreConfig {
    /// Where to store.
    pub store: store::Config,
    /// How long logins last.
    pub auth: auth::Config,
    /// How fast anybody may do anything.
    pub limit: limit::Config,
    /// How sessions are kept.
    pub hub: hub::Config,
    /// How large rooms may be.
    pub rooms: rooms::Config,
    /// What signs access tokens: 32 random bytes or more.
    pub secret: Vec<u8>,
}

/// Everything below the edge, wired: what the edge's handlers call.
pub struct Core {
    /// Who somebody is.
    pub auth: Auth,
    /// Who is where.
    pub rooms: Rooms,
    /// What they write.
    pub chat: Chat,
    /// What they are told.
    pub hub: Hub,
    /// How fast they may.
    pub limits: Limits,
    store: Store,
    tasks: Vec<JoinHandle<()>>,
}

impl Core {
    /// Opens the store (and brings its tables up to date) and starts what runs by itself: events from the store over the bus to
    /// the sessions, changes of sessions and calls to the rooms, and the sweep of old logins.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub async fn start(
        config: CoreConfig,
        sfu: Sfu,
        calls: mpsc::Receiver<CallEvent>,
    ) -> Result<Self, store::Error> {
        let (store, mut committed) = Store::open(&config.store).await?;
        let limits = Limits::new(config.limit);
        let bus = Bus::local();
        let (hub, sessions) = Hub::start(&config.hub, bus.subscribe());
        let auth = Auth::new(store.clone(), limits.clone(), &config.auth, &config.secret);
        let rooms = Rooms::new(config.rooms, store.clone(), bus.clone(), sfu, limits.clone());
        let chat = Chat::new(store.clone(), bus.clone(), limits.clone());
        let carry = async move {
            while let Some(event) = committed.recv().await {
                bus.publish_durable(event).await;
            }
        };
        let sweeper = auth.clone();
        let sweep = async move {
            loop {
                tokio::time::sleep(SWEEP_EVERY).await;
                if let Err(error) = sweeper.sweep().await {
                    tracing::warn!(?error, "old logins could not be swept");
                }
            }
        };
        let tasks =
            vec![tokio::spawn(carry), tokio::spawn(rooms.clone().follow(sessions, calls)), tokio::spawn(sweep)];
        Ok(Self { auth, rooms, chat, hub, limits, store, tasks })
    }

    /// Writes what is still queued and closes the store. The edge has told the clients before, by [`Hub::go_away`].
    pub async fn stop(&self) {
        self.store.close().await;
        for task in &self.tasks {
            task.abort();
        }
    }
}
