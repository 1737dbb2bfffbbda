//! Parlor wires its modules here, bottom first.

pub mod api;
pub mod attachments;
pub mod auth;
pub mod bus;
pub mod chat;
pub mod check;
pub mod clusters;
pub mod config;
pub mod doctor;
pub mod domain;
mod figures;
pub mod files;
pub mod hub;
pub mod import;
pub mod limit;
pub mod matching;
pub mod metrics;
pub mod moderation;
pub mod nodes;
mod open_files;
pub mod presence;
pub mod previews;
pub mod proto;
pub mod recording;
pub mod rooms;
mod secret;
pub mod sfu;
pub mod store;
pub mod webhooks;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use attachments::Attachments;
use auth::Auth;
use bus::Bus;
use chat::{Chat, Reading};
use clusters::Clusters;
use config::Config;
use domain::{NodeId, peer::PeerWord};
use files::Files;
use hub::Hub;
use limit::Limits;
use matching::Matching;
use moderation::{Moderation, Policy};
use nodes::{Neighbours, Nodes};
use parlor_turn::{Directory, TurnServer};
use presence::Presence;
use previews::Previews;
use recording::Recordings;
use rooms::Rooms;
use sfu::{CallEvent, Sfu, Taps};
use store::Store;
use webhooks::Webhooks;

/// How often logins that ended, and addresses of yesterday, are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// A server that runs.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where people find the page.
    pub page_url: String,
    /// What makes somebody the administrator, until it is used: a secret.
    pub admin_link: Option<String>,
    served: api::Served,
    core: Core,
    recordings: Recordings,
    attachments: Attachments,
    moderation: Moderation,
    webhooks: Webhooks,
    sfu: Sfu,
    figures: JoinHandle<()>,
}

/// Starts the server.
///
/// # Errors
/// When it cannot serve: an address or port that cannot be used, a data folder that cannot be written, a database that cannot be
/// reached, a certificate that cannot be used.
pub async fn serve(config: Config) -> anyhow::Result<Running> {
    config.turn.check()?;
    open_files::raise(&config);
    let policy = Policy::read(config.policy_file.as_deref())?;
    let clusters = config.clusters()?;
    let recorder = figures::recorder();
    make_folder(&config.data_dir)?;
    let listener = TcpListener::bind(config.listen).await;
    let listener = listener.with_context(|| format!("{} cannot be listened on (PARLOR_LISTEN)", config.listen))?;
    let secret = secret::of_file(&config.secret_file())?;
    let files = Files::open(&config.files, &config.files_folder()).context("files cannot be kept (PARLOR_FILES__…)")?;
    tokio::spawn(try_files(files.clone()));
    let (sfu, call_events, taps) = Sfu::start(config.media_port, &config.announced_address, &config.sfu())
        .context("media cannot be served (PARLOR_MEDIA_PORT)")?;
    let Taps { samples, recorded } = taps;
    let core = Core::start(core_config(&config, &clusters, secret.clone()), sfu.clone(), call_events).await?;
    let moderation = start_moderation(&config, policy, &core, files.clone(), sfu.clone(), samples)?;
    let previews = Previews::new(config.previews.clone(), core.limits.clone())?;
    let attachments = start_attachments(&config, &core, files.clone())?;
    let recordings = start_recordings(&config, &core, files, sfu.clone(), recorded, &secret)?;
    let ground = webhooks::Ground {
        store: core.store.clone(),
        rooms: core.rooms.clone(),
        bus: core.bus.clone(),
        node: core.bus.node(),
        wake: core.written.clone(),
    };
    let webhooks = Webhooks::start(config.webhooks.clone(), ground, &secret)?;
    let (turn, ice) = start_turn(&config, &sfu, &secret)?;
    let figures = tokio::spawn(figures::keep_reading(sfu.clone(), turn, recorder.clone()));

    let address = listener.local_addr()?;
    let page_url = config.page_url(address);
    let admin_link = core.auth.new_claim().await?.map(|secret| format!("{page_url}/claim/{secret}"));
    let Core { auth, rooms, chat, matching, hub, limits, .. } = &core;
    let app = api::App {
        config,
        clusters,
        auth: auth.clone(),
        rooms: rooms.clone(),
        chat: chat.clone(),
        reading: core.reading.clone(),
        presence: core.presence.clone(),
        matching: matching.clone(),
        recordings: recordings.clone(),
        attachments: attachments.clone(),
        previews,
        webhooks: webhooks.clone(),
        moderation: moderation.clone(),
        hub: hub.clone(),
        neighbours: core.neighbours.clone(),
        limits: limits.clone(),
        ice,
        media: sfu.candidates().clone(),
        recorder,
    };
    let served = api::serve(app, listener)?;
    tracing::info!(%address, media_ports = ?sfu.ports(), "serving");
    Ok(Running {
        address,
        page_url,
        admin_link,
        served,
        core,
        recordings,
        attachments,
        moderation,
        webhooks,
        sfu,
        figures,
    })
}

/// The addresses of this machine's interfaces now; none when the system does not say them.
fn own_addresses() -> Vec<std::net::IpAddr> {
    if_addrs::get_if_addrs().unwrap_or_default().into_iter().map(|interface| interface.ip()).collect()
}

/// Starts STUN and TURN. Calls work without it where clients reach the media ports directly, so a port that is taken is told and
/// no more.
fn start_turn(config: &Config, sfu: &Sfu, secret: &[u8]) -> anyhow::Result<(Option<TurnServer>, Directory)> {
    let secret = config.turn.turn_secret.clone().unwrap_or_else(|| parlor_turn::Secret::derived(secret));
    let surroundings = parlor_turn::Surroundings {
        secret: secret.clone(),
        tls: if config.turn.relays() { api::relay_tls(config)? } else { None },
        announced: sfu.addresses().to_vec(),
        media_ports: sfu.ports(),
        machine: own_addresses,
    };
    let turn = parlor_turn::serve(&config.turn, &surroundings).unwrap_or_else(|error| {
        tracing::warn!(%error, "neither STUN nor TURN is served (PARLOR_TURN__…)");
        None
    });
    for line in turn.iter().flat_map(|turn| &turn.unopened) {
        tracing::warn!(%line, "a line of STUN or TURN is not there (PARLOR_TURN__…)");
    }
    let listening = turn.as_ref().map(|turn| turn.listening).unwrap_or_default();
    let ice = Directory::new(&config.turn, &listening, sfu.addresses(), config.public_host().as_deref(), secret);
    Ok((turn, ice))
}

/// A bucket that does not answer keeps nobody from talking: it is told, and tried again with each file.
async fn try_files(files: Files) {
    if let Err(error) = files.check().await {
        tracing::error!(%error, "files cannot be kept now (PARLOR_FILES__…); `parlor check` tries it again");
    }
}

fn start_moderation(
    config: &Config,
    policy: Policy,
    core: &Core,
    files: Files,
    sfu: Sfu,
    samples: mpsc::Receiver<sfu::Sampled>,
) -> anyhow::Result<Moderation> {
    let (store, rooms, auth) = (core.store.clone(), core.rooms.clone(), core.auth.clone());
    let (matching, limits) = (core.matching.clone(), core.limits.clone());
    let ground = moderation::Ground { store, files, rooms, auth, matching, sfu, limits };
    Moderation::start(&config.moderation(), policy, ground, samples).context("pictures cannot be looked at")
}

fn start_attachments(config: &Config, core: &Core, files: Files) -> anyhow::Result<Attachments> {
    let ground =
        attachments::Ground { store: core.store.clone(), files, bus: core.bus.clone(), limits: core.limits.clone() };
    let folder = config.uploads_folder();
    Attachments::start(&config.files, &config.recording.ffmpeg, &folder, ground)
        .with_context(|| format!("the folder of uploads {} cannot be used", folder.display()))
}

fn start_recordings(
    config: &Config,
    core: &Core,
    files: Files,
    sfu: Sfu,
    recorded: mpsc::Receiver<sfu::Recorded>,
    secret: &[u8],
) -> anyhow::Result<Recordings> {
    let (rooms, store, bus) = (core.rooms.clone(), core.store.clone(), core.bus.clone());
    let ground = recording::Ground { rooms, store, files, sfu, bus };
    let folder = config.recordings_folder();
    Recordings::start(config.recording.clone(), &folder, ground, recorded, secret)
        .with_context(|| format!("the folder of recordings {} cannot be used", folder.display()))
}

fn core_config(config: &Config, clusters: &Clusters, secret: Vec<u8>) -> CoreConfig {
    CoreConfig {
        store: config.store(),
        auth: auth::Config { clusters: clusters.clone(), ..config.auth() },
        limit: config.limits(),
        matching: config.matching.clone(),
        redis_url: config.redis_url.clone(),
        nodes: config.nodes.clone(),
        address: config.listen.to_string(),
        hub: config.hub.clone(),
        rooms: rooms::Config { clusters: clusters.clone(), ..config.rooms() },
        secret,
    }
}

impl Running {
    /// What the edge calls.
    #[must_use]
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Stops in order: clients are told, requests are answered, what was acknowledged is in the database anyway.
    pub async fn stop(self) {
        let Self { served, core, recordings, attachments, moderation, webhooks, sfu, figures, .. } = self;
        // First, so that everybody is still told; then together, so that nobody waits for files.
        recordings.stop_all().await;
        tokio::join!(recordings.stop(), served.stop());
        attachments.stop().await;
        moderation.stop().await;
        webhooks.stop();
        figures.abort();
        // It waits for threads.
        tokio::task::spawn_blocking(move || sfu.stop()).await.ok();
        core.stop().await;
    }
}

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
    /// How strangers are put together.
    pub matching: matching::Config,
    /// What several nodes tell each other goes over it; `None`: this is the only one.
    pub redis_url: Option<String>,
    /// What several nodes tell each other.
    pub nodes: nodes::Config,
    /// Where this node is, for those who read logs.
    pub address: String,
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
    /// What they have read.
    pub reading: Reading,
    /// Who is there.
    pub presence: Presence,
    /// Strangers.
    pub matching: Matching,
    /// What they are told.
    pub hub: Hub,
    /// How fast they may.
    pub limits: Limits,
    /// What is done on other nodes, should there be any.
    pub neighbours: Option<Neighbours>,
    store: Store,
    bus: Bus,
    /// Told of each commit.
    written: Arc<Notify>,
    nodes: Nodes,
    tasks: Vec<JoinHandle<()>>,
}

impl Core {
    /// Opens the store (and brings its tables up to date) and starts what runs by itself: events from the store over the bus to
    /// the sessions, changes of sessions and calls to the rooms, and the sweep of old logins.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub async fn start(config: CoreConfig, sfu: Sfu, calls: mpsc::Receiver<CallEvent>) -> Result<Self, store::Error> {
        let (store, mut committed) = Store::open(&config.store).await?;
        let limits = Limits::new(config.limit);
        let bus = match &config.redis_url {
            None => Bus::local(),
            Some(url) => {
                let wrong = |why| store::Error::Unreadable(format!("PARLOR_REDIS_URL: {why}"));
                Bus::redis(url, &config.nodes.channel, NodeId::new()).map_err(wrong)?
            }
        };
        let (hub, mut sessions) = Hub::start(&config.hub, bus.subscribe());
        let (auth, mut logins) = Auth::new(store.clone(), limits.clone(), &config.auth, &config.secret);
        if let Some(node) = bus.node() {
            auth.name_node(node);
        }
        let rooms = Rooms::new(config.rooms, store.clone(), bus.clone(), sfu, limits.clone());
        let chat = Chat::new(store.clone(), bus.clone(), limits.clone());
        let presence =
            Presence::new(bus.node().unwrap_or_else(NodeId::new), store.clone(), bus.clone(), limits.clone());
        let reading = Reading::new(store.clone(), bus.clone(), limits.clone(), presence.clone());
        let matching =
            Matching::open(config.matching, store.clone(), bus.clone(), rooms.clone(), limits.clone()).await?;
        let carrier = bus.clone();
        let written = Arc::new(Notify::new());
        let wakes = written.clone();
        let carry = async move {
            while let Some(event) = committed.recv().await {
                carrier.publish_durable(event).await;
                wakes.notify_one();
            }
        };
        let follow_logins = {
            let (hub, rooms, bus) = (hub.clone(), rooms.clone(), bus.clone());
            async move {
                while let Some(change) = logins.recv().await {
                    bus.tell_nodes(|| PeerWord::Login(change.clone()));
                    // Rooms first: they know why somebody is gone, which the end of a session does not say.
                    rooms.login_changed(&change);
                    hub.login_changed(&change);
                }
            }
        };
        let (sweeper, match_sweeper) = (auth.clone(), matching.clone());
        let sweep = async move {
            loop {
                tokio::time::sleep(SWEEP_EVERY).await;
                if let Err(error) = sweeper.sweep().await {
                    tracing::warn!(?error, "old logins could not be swept");
                }
                if let Err(error) = match_sweeper.sweep().await {
                    tracing::warn!(?error, "old matches could not be swept");
                }
            }
        };
        // Unbounded, as the hub's own channel is, and for the same reason.
        let (to_rooms, sessions_of_rooms) = mpsc::unbounded_channel();
        let (to_matching, sessions_of_matching) = mpsc::unbounded_channel();
        let (to_presence, sessions_of_presence) = mpsc::unbounded_channel();
        let neighbours = Neighbours::new(store.clone(), bus.clone(), hub.clone(), rooms.clone());
        let (to_neighbours, sessions_of_neighbours) = mpsc::unbounded_channel();
        let (apart, words_apart) = mpsc::unbounded_channel();
        let tell_sessions = async move {
            while let Some(change) = sessions.recv().await {
                // Whoever is gone needs nothing.
                let _ = to_rooms.send(change);
                let _ = to_matching.send(change);
                let _ = to_presence.send(change);
                let _ = to_neighbours.send(change);
            }
        };
        let follow = rooms.clone().follow(sessions_of_rooms, calls);
        let follow_strangers = matching.clone().follow(sessions_of_matching, rooms.leavings());
        let mut tasks = vec![
            tokio::spawn(carry),
            tokio::spawn(tell_sessions),
            tokio::spawn(follow),
            tokio::spawn(presence.clone().follow(sessions_of_presence)),
            tokio::spawn(rooms.clone().tend_streams()),
            tokio::spawn(chat.clone().keep_time()),
            tokio::spawn(chat.clone().keep_retention()),
            tokio::spawn(reading.clone().index_all()),
            tokio::spawn(rooms.clone().tend_rings()),
            tokio::spawn(follow_strangers),
            tokio::spawn(matching.clone().follow_nodes(words_apart)),
            tokio::spawn(follow_logins),
            tokio::spawn(sweep),
        ];
        let ground = nodes::Ground {
            store: store.clone(),
            bus: bus.clone(),
            hub: hub.clone(),
            rooms: rooms.clone(),
            limits: limits.clone(),
            presence: presence.clone(),
            neighbours: neighbours.clone(),
            apart,
        };
        tasks.extend(neighbours.clone().map(|them| tokio::spawn(them.follow(sessions_of_neighbours))));
        let nodes = Nodes::start(&config.nodes, config.address, ground);
        Ok(Self {
            auth,
            rooms,
            chat,
            reading,
            presence,
            matching,
            hub,
            limits,
            neighbours,
            store,
            bus,
            written,
            nodes,
            tasks,
        })
    }

    /// Writes what is still queued and closes the store. The edge has told the clients before, by [`Hub::go_away`].
    pub async fn stop(&self) {
        self.nodes.stop().await;
        self.store.close().await;
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Brings the database to this version's form.
///
/// # Errors
/// When it cannot be reached, or a migration fails.
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    make_folder(&config.data_dir)?;
    Ok(store::migrate(&config.store()).await?)
}

/// Makes the folder, for this user alone: it will hold what people wrote to each other.
fn make_folder(folder: &Path) -> anyhow::Result<()> {
    let mut maker = fs::DirBuilder::new();
    maker
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("the data folder {} cannot be made", folder.display()))
}
