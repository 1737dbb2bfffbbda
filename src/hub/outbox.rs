//! The queue between the hub and one socket.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use tokio::sync::{
    Notify,
    mpsc::{self, error::TrySendError},
};

use super::Hub;
use crate::domain::SessionId;
use crate::metrics::FRAMES_OUT;
use crate::proto::CloseCode;

/// Frames that wait for one socket. A resume replays 300 events, so there is room for that and a burst; beyond, the socket is
/// closed (4429) and its client resumes.
const FRAMES: usize = 1_024;
/// Bytes that wait for one socket: 300 of the longest messages. Beyond, as with the frames.
const BYTES: usize = 8 * 1024 * 1024;

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
pub(super) struct Lane {
    queue: mpsc::Sender<Outgoing>,
    gauge: Arc<Gauge>,
}

/// The socket's end. Dropping it tells the hub that the socket is gone.
pub struct Outbox {
    queue: mpsc::Receiver<Outgoing>,
    gauge: Arc<Gauge>,
    hub: Hub,
    pub(super) session: SessionId,
    pub(super) socket: u64,
}

#[derive(Default)]
struct Gauge {
    bytes: AtomicUsize,
    /// The code to close with at once, before whatever is queued.
    cut: Mutex<Option<CloseCode>>,
    was_cut: Notify,
}

impl Lane {
    pub(super) fn new(hub: Hub, session: SessionId, socket: u64) -> (Self, Outbox) {
        let (queue, receiver) = mpsc::channel(FRAMES);
        let gauge = Arc::new(Gauge::default());
        let outbox = Outbox { queue: receiver, gauge: gauge.clone(), hub, session, socket };
        (Self { queue, gauge }, outbox)
    }

    /// Queues a frame, or cuts the socket off when it is too slow.
    pub(super) fn push(&self, frame: Bytes) {
        let size = frame.len();
        if self.gauge.bytes.fetch_add(size, Ordering::Relaxed) + size > BYTES {
            self.cut(CloseCode::TooSlow);
            return;
        }
        match self.queue.try_send(Outgoing::Frame(frame)) {
            Ok(()) => metrics::counter!(FRAMES_OUT).increment(1),
            Err(TrySendError::Full(_)) => self.cut(CloseCode::TooSlow),
            Err(TrySendError::Closed(_)) => {}
        }
    }

    /// Closes after what is queued.
    pub(super) fn close(&self, code: CloseCode) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Outgoing::Close(code)) {
            self.cut(code);
        }
    }

    /// Closes at once: what is queued is not sent. The first code stays.
    pub(super) fn cut(&self, code: CloseCode) {
        self.gauge.cut.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(code);
        self.gauge.was_cut.notify_one();
    }
}

impl Outbox {
    /// What to do next. Cancel safe. After `Close` it says the same again.
    pub async fn next(&mut self) -> Outgoing {
        if let Some(code) = self.cut() {
            return Outgoing::Close(code);
        }
        let gauge = self.gauge.clone();
        let next = tokio::select! {
            biased;
            () = gauge.was_cut.notified() => None,
            next = self.queue.recv() => next,
        };
        match next {
            Some(Outgoing::Frame(frame)) => {
                self.gauge.bytes.fetch_sub(frame.len(), Ordering::Relaxed);
                Outgoing::Frame(frame)
            }
            Some(Outgoing::Close(code)) => {
                self.gauge.cut.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(code);
                Outgoing::Close(code)
            }
            // Either it was cut, or the hub let go of the session without a word.
            None => Outgoing::Close(self.cut().unwrap_or(CloseCode::Normal)),
        }
    }

    fn cut(&self) -> Option<CloseCode> {
        *self.gauge.cut.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.hub.detach(self);
    }
}
