//! The queue between the hub and one socket.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::Hub;
use crate::domain::SessionId;
use crate::proto::CloseCode;

/// Frames that wait for one socket. A resume replays 300 events, so there is room for that and a burst; beyond, the socket is
/// closed (4429) and its client resumes.
const FRAMES: usize = 1_024;
/// Bytes that wait for one socket: 300 of the longest messages. Beyond, as with the frames.
const BYTES: usize = 8 * 1024 * 1024;
/// Frames whose room an empty queue keeps: most sockets are idle most of the time, and ten thousand of them are to fit.
const KEPT: usize = 16;

/// What a socket is to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// Send this text.
    Frame(Bytes),
    /// Close with this code; nothing follows.
    Close(CloseCode),
}

/// The hub's end.
#[derive(Clone)]
pub(super) struct Lane(Arc<Queue>);

/// The socket's end. Dropping it tells the hub that the socket is gone.
pub struct Outbox {
    queue: Arc<Queue>,
    hub: Hub,
    pub(super) session: SessionId,
    pub(super) socket: u64,
}

struct Queue {
    waiting: Mutex<Waiting>,
    /// The socket sleeps until it is told that there is something.
    filled: Notify,
    frames_out: metrics::Counter,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// The code to close with once the frames are sent; nothing is queued behind it.
    close: Option<CloseCode>,
}

impl Lane {
    pub(super) fn new(hub: Hub, session: SessionId, socket: u64) -> (Self, Outbox) {
        let frames_out = hub.0.frames_out.clone();
        let queue = Arc::new(Queue { waiting: Mutex::default(), filled: Notify::new(), frames_out });
        let outbox = Outbox { queue: queue.clone(), hub, session, socket };
        (Self(queue), outbox)
    }

    /// Queues a frame, or cuts the socket off when it is too slow.
    pub(super) fn push(&self, frame: Bytes) {
        let mut waiting = self.0.waiting();
        if waiting.close.is_some() {
            return;
        }
        if waiting.frames.len() == FRAMES || waiting.bytes + frame.len() > BYTES {
            drop(waiting);
            return self.cut(CloseCode::TooSlow);
        }
        // Whoever sleeps has found nothing; whoever writes looks again before it sleeps.
        let was_empty = waiting.frames.is_empty();
        waiting.bytes += frame.len();
        waiting.frames.push_back(frame);
        drop(waiting);
        self.0.frames_out.increment(1);
        if was_empty {
            self.0.filled.notify_one();
        }
    }

    /// Closes after what is queued. The first code stays.
    pub(super) fn close(&self, code: CloseCode) {
        self.0.waiting().close.get_or_insert(code);
        self.0.filled.notify_one();
    }

    /// Closes at once: what is queued is not sent. The first code stays.
    pub(super) fn cut(&self, code: CloseCode) {
        let mut waiting = self.0.waiting();
        waiting.frames = VecDeque::new();
        waiting.bytes = 0;
        waiting.close.get_or_insert(code);
        drop(waiting);
        self.0.filled.notify_one();
    }
}

impl Outbox {
    /// What to do next. Cancel safe. After `Close` it says the same again.
    pub async fn next(&mut self) -> Outgoing {
        loop {
            if let Some(out) = self.take() {
                return out;
            }
            self.queue.filled.notified().await;
        }
    }

    /// What is to be done now, if anything is.
    pub fn take(&mut self) -> Option<Outgoing> {
        let mut waiting = self.queue.waiting();
        let Some(frame) = waiting.frames.pop_front() else { return waiting.close.map(Outgoing::Close) };
        waiting.bytes -= frame.len();
        if waiting.frames.is_empty() && waiting.frames.capacity() > KEPT {
            waiting.frames = VecDeque::new();
        }
        Some(Outgoing::Frame(frame))
    }
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.hub.detach(self);
    }
}
