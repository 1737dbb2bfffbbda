//! The sessions of this node: takes what the bus brings, encodes it once, and hands the same bytes to each session.
//!
//! A session outlives its socket by a moment: whoever comes back in time with the resume token finds seat and call as before.
//! Coming into a room is "subscribe first, then look": what happens while the state is fetched waits, so nothing is lost or
//! told twice.

mod fan;
mod mending;
mod outbox;
#[cfg(test)]
mod tests;
mod visits;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;
use tokio::sync::mpsc;

pub use outbox::{Outbox, Outgoing};
pub use visits::Visit;

use crate::bus::{News, Subscription};
use crate::domain::{
    Addressee, Caller, Event, FamilyId, LoginChange, Notice, Refusal, RoomId, Session, SessionChange, SessionId,
    SiteRole, Told, User, UserId, room::Entered,
};
use crate::metrics::{FRAMES_OUT, SESSIONS_LOST, SOCKETS};
use crate::proto::{CloseCode, GoAway, ServerBody, ServerFrame};
use fan::{Fan, Found};
use outbox::Lane;

/// How sessions are kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long a session waits for another socket, in milliseconds.
    pub seat_kept_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { seat_kept_ms: 15_000 }
    }
}

/// The sessions. Clones share them.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    seat_kept: Duration,
    sessions: Mutex<Sessions>,
    rooms: Mutex<HashMap<RoomId, Arc<Mutex<Fan>>>>,
    /// Unbounded, yet no longer than three times the list of sessions: each is lost, resumed or ended.
    changes: mpsc::UnboundedSender<SessionChange>,
    attempts: AtomicU64,
    /// Found once: it is counted for each frame of each socket.
    frames_out: metrics::Counter,
    /// Where to tell of rooms in which an event was missed.
    gaps: Mutex<Option<mpsc::UnboundedSender<RoomId>>>,
}

#[derive(Default)]
struct Sessions {
    all: HashMap<SessionId, Live>,
    /// By resume token.
    resumable: HashMap<String, SessionId>,
    /// By owner, so that a notice finds them without a look at all.
    of_users: HashMap<UserId, HashSet<SessionId>>,
}

struct Live {
    user: UserId,
    family: FamilyId,
    /// What the session's owner is on the site.
    role: SiteRole,
    /// Whether that was told since the session was opened or renewed: whoever has read it before knows less.
    role_told: bool,
    /// `None` while no socket is there.
    lane: Option<Lane>,
    /// Counts the sockets of this session.
    socket: u64,
    resume_token: String,
    rooms: HashSet<RoomId>,
    over: Arc<AtomicBool>,
    /// Whether its socket is at another node.
    is_guest: bool,
}

/// A session for a new socket.
pub struct Opened {
    /// The session.
    pub session: Arc<Session>,
    /// What the socket is to send.
    pub outbox: Outbox,
    /// What takes the session up again, once.
    pub resume_token: String,
    /// Whether it is a session that was there before.
    pub resumed: bool,
}

impl Hub {
    /// Starts to tell what the subscription brings. The receiver gives what becomes of sessions.
    pub fn start(config: &Config, subscription: Subscription) -> (Self, mpsc::UnboundedReceiver<SessionChange>) {
        let (changes, receiver) = mpsc::unbounded_channel();
        let inner = Inner {
            seat_kept: Duration::from_millis(config.seat_kept_ms),
            sessions: Mutex::default(),
            rooms: Mutex::default(),
            changes,
            attempts: AtomicU64::new(0),
            frames_out: metrics::counter!(FRAMES_OUT),
            gaps: Mutex::default(),
        };
        let hub = Self(Arc::new(inner));
        tokio::spawn(hub.clone().run(subscription));
        (hub, receiver)
    }

    async fn run(self, mut subscription: Subscription) {
        while let Some(news) = subscription.next().await {
            match news {
                News::Event(event) => self.tell(&Arc::new(event)),
                News::Notice(notice) => self.notify(&notice),
            }
        }
    }

    /// A session for a socket that has logged in: the one that `resume` names, if it waits for this person, or a new one.
    pub fn open(&self, caller: Caller, resume: Option<&str>) -> Opened {
        let resume_token = new_token();
        let mut sessions = self.sessions();
        let taken = resume.and_then(|token| sessions.take_resumable(token, caller.user.id));
        let resumed = taken.is_some();
        let id = taken.unwrap_or_else(SessionId::new);
        sessions.resumable.insert(resume_token.clone(), id);
        sessions.of_users.entry(caller.user.id).or_default().insert(id);
        let live = sessions.all.entry(id).or_insert_with(|| Live::new(&caller));
        live.socket += 1;
        live.family = caller.family;
        (live.role, live.role_told) = (caller.user.role, false);
        live.resume_token.clone_from(&resume_token);
        let session = Session::new(id, live.socket, caller, live.over.clone());
        let (lane, outbox) = Lane::new(self.clone(), id, live.socket);
        let replaced = live.lane.replace(lane);
        let left = std::mem::take(&mut live.rooms);
        match replaced {
            Some(old) => old.cut(CloseCode::Replaced),
            None if resumed => {
                metrics::gauge!(SESSIONS_LOST).decrement(1.0);
                metrics::gauge!(SOCKETS).increment(1.0);
            }
            None => metrics::gauge!(SOCKETS).increment(1.0),
        }
        self.forget_rooms(id, left);
        if resumed {
            self.changed(SessionChange::Resumed(id));
        }
        // Not before: what becomes of a session is told in the order in which it happened, and an old socket's end does not take
        // away what a new one has begun.
        drop(sessions);
        Opened { session: Arc::new(session), outbox, resume_token, resumed }
    }

    /// The same session with what a fresh token says of its owner.
    pub fn renew(&self, session: &Session, caller: Caller) -> Arc<Session> {
        if let Some(live) = self.sessions().of(session) {
            live.family = caller.family;
            (live.role, live.role_told) = (caller.user.role, false);
        }
        Arc::new(session.renewed(caller))
    }

    /// What the database says of a session's owner, read after the session was opened or renewed.
    pub fn confirm(&self, session: &Session, role: SiteRole) {
        if let Some(live) = self.sessions().of(session).filter(|live| !live.role_told) {
            live.role = role;
        }
    }

    /// The session with what its owner is on the site now.
    pub fn current(&self, session: &Arc<Session>) -> Arc<Session> {
        let role = self.sessions().of(session).map_or(session.caller.user.role, |live| live.role);
        if role == session.caller.user.role {
            return session.clone();
        }
        let user = User { role, ..session.caller.user.clone() };
        Arc::new(session.renewed(Caller { user, ..session.caller.clone() }))
    }

    /// Queues a frame for one socket. When it is gone, so is the frame: the client asks again once it is back.
    #[expect(clippy::needless_pass_by_value, reason = "whoever replies has made the frame for this alone")]
    pub fn reply(&self, session: &Session, frame: ServerFrame) {
        let lane = self.sessions().of(session).and_then(|live| live.lane.clone());
        if let Some(lane) = lane {
            lane.push(frame.encode());
        }
    }

    /// Brings a session into a room: listens first, then awaits what `enter` finds, then queues the room's state, the missed
    /// events, and what has happened since, in order.
    ///
    /// # Errors
    /// What `enter` refuses; then the session listens as it did before. `not_found` when the session has no such socket.
    pub async fn join(
        &self,
        session: &Session,
        request: Option<String>,
        room: RoomId,
        enter: impl Future<Output = Result<Entered, Refusal>>,
    ) -> Result<(), Refusal> {
        let attempt = self.0.attempts.fetch_add(1, Ordering::Relaxed);
        {
            let mut sessions = self.sessions();
            let live = sessions.of(session).ok_or(Refusal::NotFound)?;
            let lane = live.lane.clone().ok_or(Refusal::NotFound)?;
            live.rooms.insert(room);
            let user = live.user;
            self.with_fan(room, |fan| fan.begin(session.id, user, lane, attempt));
        }
        match enter.await {
            Ok(entered) => {
                let found = Found::new(request, entered);
                self.with_fan(room, |fan| fan.complete(session.id, attempt, found));
                Ok(())
            }
            Err(refusal) => {
                let may_stay = refusal != Refusal::Removed;
                self.with_fan(room, |fan| fan.abandon(session.id, attempt, may_stay));
                Err(refusal)
            }
        }
    }

    /// Stops telling a session about a room.
    pub fn leave(&self, session: &Session, room: RoomId) {
        let mut sessions = self.sessions();
        let Some(live) = sessions.of(session) else { return };
        live.rooms.remove(&room);
        self.with_fan(room, |fan| fan.remove(session.id));
    }

    /// Closes a session's socket after what is queued. With `Normal`, `BadClient` or `Removed` the session is over too.
    pub fn close(&self, session: &Session, code: CloseCode) {
        let mut sessions = self.sessions();
        let Some(lane) = sessions.of(session).and_then(|live| live.lane.clone()) else { return };
        lane.close(code);
        if matches!(code, CloseCode::Normal | CloseCode::BadClient | CloseCode::Removed) {
            self.end_in(sessions, session.id, session.socket);
        }
    }

    /// Ends a session: nobody can resume it. Not when another socket has taken it up.
    pub fn end(&self, session: &Session) {
        self.end_in(self.sessions(), session.id, session.socket);
    }

    /// A login that is revoked takes its sessions with it; their sockets are closed, and the client has to log in anew. Who is
    /// banned is told so before.
    pub fn login_changed(&self, change: &LoginChange) {
        match change {
            LoginChange::Revoked(family) => self.close_where(CloseCode::Unauthenticated, |live| live.family == *family),
            LoginChange::Banned { user, reason, until } => {
                self.notify(&Notice::to_user(*user, Told::Banned { reason: reason.clone(), until: *until }));
                self.close_where(CloseCode::Removed, |live| live.user == *user);
            }
            LoginChange::Reused { user, device } => {
                self.notify(&Notice::to_user(*user, Told::LoginReused { device: device.clone() }));
            }
            &LoginChange::Guessed { user, count } => self.notify(&Notice::to_user(user, Told::CodesGuessed { count })),
            // Their sockets go with their logins.
            LoginChange::Reached(_) => {}
            LoginChange::SiteRole(user, role) => {
                self.sessions().set_role(*user, *role);
                self.notify(&Notice::to_user(*user, Told::SiteRole { role: *role }));
            }
        }
    }

    /// Ends the sessions for which that holds; their sockets close after what is queued.
    fn close_where(&self, code: CloseCode, holds: impl Fn(&Live) -> bool) {
        let found = |(id, live): (&SessionId, &Live)| holds(live).then_some((*id, live.socket));
        let ended: Vec<_> = self.sessions().all.iter().filter_map(found).collect();
        for (id, socket) in ended {
            let sessions = self.sessions();
            if let Some(lane) = sessions.all.get(&id).and_then(|live| live.lane.as_ref()) {
                lane.close(code);
            }
            self.end_in(sessions, id, socket);
        }
    }

    fn end_in(&self, mut sessions: MutexGuard<'_, Sessions>, id: SessionId, socket: u64) {
        if sessions.all.get(&id).is_none_or(|live| live.socket != socket) {
            return;
        }
        let Some(live) = sessions.remove(id) else { return };
        // A socket that nobody has closed with a word of its own.
        if let Some(lane) = &live.lane {
            lane.close(CloseCode::Normal);
        }
        // Before the change is told, so that whoever takes a seat now either sees it or is found.
        live.over.store(true, Ordering::Release);
        let gauge = if live.lane.is_some() { SOCKETS } else { SESSIONS_LOST };
        metrics::gauge!(gauge).decrement(1.0);
        self.forget_rooms(id, live.rooms);
        self.changed(SessionChange::Ended(id));
        drop(sessions);
    }

    /// The socket of this outbox is gone: its session waits for another. An outbox that was replaced changes nothing.
    pub fn detach(&self, outbox: &Outbox) {
        let (session, socket) = (outbox.session, outbox.socket);
        let mut sessions = self.sessions();
        let Some(live) = sessions.all.get_mut(&session).filter(|live| live.socket == socket) else { return };
        if live.lane.take().is_none() {
            return;
        }
        let left = std::mem::take(&mut live.rooms);
        metrics::gauge!(SOCKETS).decrement(1.0);
        metrics::gauge!(SESSIONS_LOST).increment(1.0);
        self.forget_rooms(session, left);
        self.changed(SessionChange::Lost(session));
        drop(sessions);
        // Outside of a runtime the process is on its way out, and the session with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let hub = self.clone();
            runtime.spawn(async move {
                tokio::time::sleep(hub.0.seat_kept).await;
                hub.end_in(hub.sessions(), session, socket);
            });
        }
    }

    /// Tells every client to come back later, each at another time, and closes the sockets after that.
    pub fn go_away(&self, reason: &str) {
        let at_home = |live: &&Live| !live.is_guest;
        let lanes: Vec<Lane> = self.sessions().all.values().filter(at_home).filter_map(|it| it.lane.clone()).collect();
        // Five milliseconds for each: a node that starts takes 200 logins a second without trouble.
        let spread_ms = (lanes.len() as u64 * 5).clamp(1_000, 30_000);
        for (number, lane) in lanes.iter().enumerate() {
            let reconnect_after_ms = 500 + spread_ms * number as u64 / lanes.len() as u64;
            let body = ServerBody::GoAway(GoAway { reconnect_after_ms, reason: reason.to_owned() });
            lane.push(ServerFrame::new(body).encode());
            lane.close(CloseCode::GoingAway);
        }
    }

    /// How many sockets are logged in.
    pub fn sockets(&self) -> usize {
        self.sessions().all.values().filter(|live| live.lane.is_some()).count()
    }

    fn tell(&self, event: &Arc<Event>) {
        let fan = self.rooms().get(&event.room).cloned();
        let Some(fan) = fan else { return };
        let (over, gap) = {
            let mut fan = fan.lock().unwrap_or_else(PoisonError::into_inner);
            (fan.tell(event), fan.take_gap())
        };
        if gap {
            self.tell_gap(event.room);
        }
        if over.is_empty() {
            return;
        }
        let mut sessions = self.sessions();
        for session in over {
            if let Some(live) = sessions.all.get_mut(&session) {
                live.rooms.remove(&event.room);
            }
        }
        // If nobody listens any more, the room is forgotten by this.
        self.with_fan(event.room, |_| {});
    }

    /// Tells a notice to the sockets that are there.
    fn notify(&self, notice: &Notice) {
        let lanes = self.sessions().lanes_to(notice.to);
        if lanes.is_empty() {
            return;
        }
        let text = ServerFrame::from(notice).encode();
        for lane in lanes {
            lane.push(text.clone());
        }
    }

    /// Locks are taken in the order sessions, rooms, fan; a room that nobody listens to any more is forgotten.
    fn with_fan(&self, room: RoomId, change: impl FnOnce(&mut Fan)) {
        let mut rooms = self.rooms();
        let fan = rooms.entry(room).or_default().clone();
        let mut fan = fan.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut fan);
        if fan.take_gap() {
            self.tell_gap(room);
        }
        if fan.is_empty() {
            rooms.remove(&room);
        }
    }

    fn forget_rooms(&self, session: SessionId, rooms: HashSet<RoomId>) {
        for room in rooms {
            self.with_fan(room, |fan| fan.remove(session));
        }
    }

    fn changed(&self, change: SessionChange) {
        // Without a receiver nobody keeps seats.
        let _ = self.0.changes.send(change);
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<RoomId, Arc<Mutex<Fan>>>> {
        self.0.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    fn new(caller: &Caller) -> Self {
        Self {
            user: caller.user.id,
            family: caller.family,
            role: caller.user.role,
            role_told: false,
            lane: None,
            socket: 0,
            resume_token: String::new(),
            rooms: HashSet::new(),
            over: Arc::default(),
            is_guest: false,
        }
    }
}

impl Sessions {
    /// The session, unless it is over or another socket has taken it up.
    fn of(&mut self, session: &Session) -> Option<&mut Live> {
        self.all.get_mut(&session.id).filter(|live| live.socket == session.socket)
    }

    fn remove(&mut self, id: SessionId) -> Option<Live> {
        let live = self.all.remove(&id)?;
        self.resumable.remove(&live.resume_token);
        if let Some(theirs) = self.of_users.get_mut(&live.user) {
            theirs.remove(&id);
            if theirs.is_empty() {
                self.of_users.remove(&live.user);
            }
        }
        Some(live)
    }

    fn set_role(&mut self, user: UserId, role: SiteRole) {
        for id in self.of_users.get(&user).into_iter().flatten() {
            if let Some(live) = self.all.get_mut(id) {
                (live.role, live.role_told) = (role, true);
            }
        }
    }

    /// The sockets that a notice goes to.
    fn lanes_to(&self, to: Addressee) -> Vec<Lane> {
        let lane = |id: &SessionId| self.all.get(id).filter(|live| !live.is_guest)?.lane.clone();
        match to {
            Addressee::Session(session) => lane(&session).into_iter().collect(),
            Addressee::User(user) => self.of_users.get(&user).into_iter().flatten().filter_map(lane).collect(),
        }
    }

    /// The session of that token, if it is this person's; the token is used up then.
    fn take_resumable(&mut self, token: &str, user: UserId) -> Option<SessionId> {
        let session = self.resumable.get(token).copied()?;
        if self.all.get(&session)?.user != user {
            return None;
        }
        self.resumable.remove(token);
        Some(session)
    }
}

/// 128 random bits in hexadecimal.
fn new_token() -> String {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).expect("the operating system has randomness");
    format!("{:032x}", u128::from_be_bytes(bytes))
}
