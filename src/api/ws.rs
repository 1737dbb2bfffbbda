//! The socket at `/ws`: login, sizes, clocks and the two directions. What the frames ask for is done in `frames.rs`.
//!
//! One task per socket runs a reader, which takes one frame after the other, and a writer, which empties the hub's bounded
//! queue. Neither waits for the other, and the hub waits for neither.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::header::SEC_WEBSOCKET_VERSION;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::STOP_REASON;
use super::Shared;
use super::access::{Anyone, verify};
use super::client::Client;
use super::error::{Error, Query, body_of};
use super::frames::{Conversation, Next};
use super::listen::Place;
use crate::auth::Access;
use crate::domain::{Refusal, Scope};
use crate::hub::{Outbox, Outgoing};
use crate::metrics::{FRAMES_IN, SOCKETS_CLOSED};
use crate::proto::{
    Authenticate, BadFrame, ClientBody, ClientFrame, CloseCode, ErrorBody, ErrorCode, FRAME_LIMIT, GoAway,
    LOGIN_FRAME_LIMIT, OFFER_FRAME_LIMIT, ServerBody, ServerFrame,
};

/// What each socket's read buffer begins with, in bytes, and keeps while nobody says anything: most frames of clients are shorter, and it
/// grows to a longer one's length at once. tungstenite's 128 KiB would cost 1.3 GB at 10,000 sockets.
const READ_BUFFER: usize = 1024;
/// What a socket gathers before it writes, in bytes.
const WRITE_BUFFER: usize = 4 * 1024;
/// What tungstenite takes in, in bytes. A little more than our own limit, so that a frame just over it is read to its end and
/// answered properly; larger ones are not read.
const HARD_LIMIT: usize = OFFER_FRAME_LIMIT + 4 * 1024;
/// What tungstenite keeps when the client does not read, in bytes. Beyond it a write fails, and the socket closes.
const WRITE_LIMIT: usize = 1024 * 1024;
/// The time one write may take.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// The time a client has to answer our close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);
/// How often the server pings.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(25);
/// Unreadable frames in a row before the socket closes.
const BAD_FRAMES: u32 = 20;

type Sink = SplitSink<WebSocket, Message>;
type Stream = SplitStream<WebSocket>;

/// The query of `/ws`.
#[derive(Deserialize)]
pub(crate) struct Entrance {
    ticket: Option<String>,
}

/// Turns a request into a socket.
pub(crate) async fn upgrade(
    State(shared): State<Shared>,
    Anyone(client): Anyone,
    Query(entrance): Query<Entrance>,
    place: Option<Extension<Arc<Place>>>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        let refusal = Refusal::bad_request("upgrade", "This address takes WebSocket connections only.");
        // A client of another version learns which one is spoken here (RFC 6455, section 4.2.2).
        return ([(SEC_WEBSOCKET_VERSION, "13")], Error::from(refusal)).into_response();
    };
    upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(WRITE_LIMIT)
        .max_message_size(HARD_LIMIT)
        .max_frame_size(HARD_LIMIT)
        .on_upgrade(move |socket| {
            let sockets = shared.sockets.clone();
            sockets.track_future(async move {
                run(socket, shared, client, entrance.ticket).await;
                // The connection counts for as long as the socket lives.
                drop(place);
            })
        })
}

/// A socket from its first byte to its last.
async fn run(socket: WebSocket, shared: Shared, client: Client, ticket: Option<String>) {
    let (mut sink, mut stream) = socket.split();
    let login = match ticket {
        // On the heap while they last, as what frames ask for: an idle socket is to be small.
        Some(ticket) => Box::pin(redeem(&shared, &client, &ticket)).await,
        None => Box::pin(log_in(&mut sink, &mut stream, &shared, &client)).await,
    };
    let reason = match login {
        Ok(login) => converse(&mut sink, &mut stream, shared, client, login).await,
        Err(Refused { error, code }) => {
            if let Some(frame) = error {
                let _ = write(&mut sink, frame.encode()).await;
            }
            close(&mut sink, code).await;
            Some(code)
        }
    };
    // Let the client read what we sent: the end of the connection with its bytes unread would throw ours away.
    if matches!(reason, Some(CloseCode::TooBig | CloseCode::Protocol | CloseCode::NotText)) {
        // tungstenite reads no more; the sender has this long to notice.
        sleep(CLOSE_PATIENCE).await;
    } else {
        let _ = timeout(CLOSE_PATIENCE, async { while let Some(Ok(_)) = stream.next().await {} }).await;
    }
}

/// A login that holds.
struct Login {
    access: Access,
    /// The id of the `authenticate` frame, if there was one.
    id: Option<String>,
    resume: Option<String>,
}

/// A login that does not.
struct Refused {
    error: Option<ServerFrame>,
    code: CloseCode,
}

impl Refused {
    fn silently(code: CloseCode) -> Self {
        Self { error: None, code }
    }

    /// The server stops before anybody has logged in here.
    fn by_stop() -> Self {
        Self { error: Some(go_away()), code: CloseCode::GoingAway }
    }

    fn because(refusal: &Refusal, id: Option<String>) -> Self {
        Self { error: Some(ServerFrame::error(id, body_of(refusal))), code: code_of(refusal) }
    }
}

/// With which code a login closes that does not hold.
pub(super) fn code_of(refusal: &Refusal) -> CloseCode {
    match refusal {
        Refusal::TokenExpired => CloseCode::TokenExpired,
        Refusal::TokenInvalid | Refusal::TokenReused | Refusal::Unauthenticated | Refusal::ScopeMissing { .. } => {
            CloseCode::Unauthenticated
        }
        Refusal::Banned { .. } => CloseCode::Removed,
        // The login may be good: the database does not answer, or there are too many at once. Try again.
        _ => CloseCode::Internal,
    }
}

async fn redeem(shared: &Shared, client: &Client, ticket: &str) -> Result<Login, Refused> {
    // The upgrade has counted for the address.
    let access =
        shared.auth.redeem(ticket, client.address).await.map_err(|refusal| Refused::because(&refusal, None))?;
    Ok(Login { access, id: None, resume: None })
}

/// Waits for the `authenticate` frame.
async fn log_in(sink: &mut Sink, stream: &mut Stream, shared: &Shared, client: &Client) -> Result<Login, Refused> {
    let deadline = Instant::now() + Duration::from_millis(shared.config.http.login_timeout_ms);
    let mut bad = 0;
    loop {
        let next = tokio::select! {
            () = shared.stop.cancelled() => return Err(Refused::by_stop()),
            next = timeout_at(deadline, stream.next()) => next,
        };
        let next = next.map_err(|_| Refused::silently(CloseCode::Unauthenticated))?;
        let parsed = match next {
            Some(Ok(Message::Text(text))) => ClientFrame::parse(&text, false),
            Some(Ok(Message::Binary(bytes))) => Err(binary(&bytes, LOGIN_FRAME_LIMIT)),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Err(error)) => return Err(Refused::silently(fault_of(&error).unwrap_or(CloseCode::Normal))),
            Some(Ok(Message::Close(_))) | None => return Err(Refused::silently(CloseCode::Normal)),
        };
        match parsed {
            Ok(ClientFrame { id, body: ClientBody::Authenticate(Authenticate { token, resume }) }) => {
                metrics::counter!(FRAMES_IN, "type" => "authenticate").increment(1);
                let access = verify(&token, client, shared).await;
                // Whoever has a socket is told what others write.
                let access = access.and_then(|access| access.permit(Scope::MessagesRead).map(|()| access));
                let access = access.map_err(|refusal| Refused::because(&refusal, id.clone()))?;
                return Ok(Login { access, id, resume });
            }
            Ok(ClientFrame { id, .. }) => return Err(Refused::because(&Refusal::Unauthenticated, id)),
            Err(BadFrame::TooLarge) => return Err(Refused::silently(CloseCode::TooBig)),
            Err(BadFrame::Unreadable { id, code, why }) => {
                bad += 1;
                if bad == BAD_FRAMES {
                    return Err(Refused::silently(CloseCode::BadClient));
                }
                let answer = ServerFrame::error(id, unreadable(code, &why)).encode();
                write(sink, answer).await.map_err(|_| Refused::silently(CloseCode::Normal))?;
            }
        }
    }
}

/// The socket's life after login; the code that we closed with, if we did.
async fn converse(
    sink: &mut Sink,
    stream: &mut Stream,
    shared: Shared,
    client: Client,
    login: Login,
) -> Option<CloseCode> {
    let Login { access, id, resume } = login;
    let idle = Duration::from_millis(shared.config.http.idle_timeout_ms);
    let (mut talk, mut outbox) = Conversation::open(shared, client, access, id, resume.as_deref());
    Box::pin(talk.confirm()).await;
    let over = CancellationToken::new();
    let ((), code) = tokio::join!(read(stream, &mut talk, idle, &over), write_all(sink, &mut outbox, &over));
    talk.gone(&outbox);
    code
}

/// Takes one frame after the other until the socket is over. Ends the writer by the hub (with a close code) or by `over`.
async fn read(stream: &mut Stream, talk: &mut Conversation, idle: Duration, over: &CancellationToken) {
    let mut bad = 0;
    let mut idle_at = Instant::now() + idle;
    loop {
        let message = tokio::select! {
            () = over.cancelled() => return,
            () = sleep_until(idle_at) => {
                talk.close(CloseCode::Idle);
                return;
            }
            () = sleep_until(talk.token_deadline()) => {
                if !talk.token_is_due() {
                    return;
                }
                continue;
            }
            message = stream.next() => message,
        };
        idle_at = Instant::now() + idle;
        let parsed = match message {
            Some(Ok(Message::Text(text))) => ClientFrame::parse(&text, true),
            Some(Ok(Message::Binary(bytes))) => Err(binary(&bytes, FRAME_LIMIT)),
            // tungstenite answers pings by itself.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Close(Some(CloseFrame { code: 1000, .. })))) => {
                talk.end();
                return over.cancel();
            }
            Some(Ok(Message::Close(_))) | None => return over.cancel(),
            Some(Err(error)) => match fault_of(&error) {
                Some(code) => {
                    talk.close(code);
                    return;
                }
                None => return over.cancel(),
            },
        };
        match parsed {
            Ok(frame) => {
                bad = 0;
                // On the heap while it lasts: what the largest answer needs would else be kept for every idle socket.
                if Box::pin(talk.take(frame)).await == Next::Over {
                    return;
                }
            }
            Err(BadFrame::TooLarge) => {
                talk.close(CloseCode::TooBig);
                return;
            }
            Err(BadFrame::Unreadable { id, code, why }) => {
                bad += 1;
                if bad == BAD_FRAMES {
                    talk.close(CloseCode::BadClient);
                    return;
                }
                talk.reply(ServerFrame::error(id, unreadable(code, &why)));
            }
        }
    }
}

/// Sends what the hub has queued, and pings, until the hub closes (then the code), a write fails or the reader is done.
async fn write_all(sink: &mut Sink, outbox: &mut Outbox, over: &CancellationToken) -> Option<CloseCode> {
    let mut ping = interval(PING_EVERY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ping.reset();
    loop {
        let sent = tokio::select! {
            () = over.cancelled() => return None,
            _ = ping.tick() => patiently(sink.send(Message::Ping(Bytes::new()))).await,
            out = outbox.next() => write_run(sink, out, outbox).await,
        };
        if let Err(Gone(code)) = sent {
            over.cancel();
            return code;
        }
    }
}

/// Writes `first` and all that is queued behind it, in one go. An error when the socket is over.
async fn write_run(sink: &mut Sink, first: Outgoing, outbox: &mut Outbox) -> Result<(), Gone> {
    let mut next = Some(first);
    while let Some(out) = next {
        match out {
            Outgoing::Frame(text) => patiently(sink.feed(text_of(text))).await?,
            Outgoing::Close(code) => {
                close(sink, code).await;
                return Err(Gone(Some(code)));
            }
        }
        next = outbox.take();
    }
    patiently(sink.flush()).await
}

/// The socket is over: we closed it with that code, or the other side is gone, or reads so slowly that it is as good as gone.
#[derive(Debug)]
struct Gone(Option<CloseCode>);

async fn patiently(write: impl Future<Output = Result<(), axum::Error>>) -> Result<(), Gone> {
    timeout(WRITE_PATIENCE, write).await.map_err(|_| Gone(None))?.map_err(|_| Gone(None))
}

async fn write(sink: &mut Sink, text: Bytes) -> Result<(), Gone> {
    patiently(sink.send(text_of(text))).await
}

async fn close(sink: &mut Sink, code: CloseCode) {
    metrics::counter!(SOCKETS_CLOSED, "code" => code.number().to_string()).increment(1);
    let frame = CloseFrame { code: code.number(), reason: Utf8Bytes::from_static(code.reason()) };
    let _ = patiently(sink.send(Message::Close(Some(frame)))).await;
}

fn text_of(frame: Bytes) -> Message {
    Message::Text(Utf8Bytes::try_from(frame).expect("frames are JSON, and JSON is UTF-8"))
}

fn binary(bytes: &Bytes, limit: usize) -> BadFrame {
    if bytes.len() > limit {
        return BadFrame::TooLarge;
    }
    BadFrame::Unreadable { id: None, code: ErrorCode::BadFrame, why: "binary frames are not used".to_owned() }
}

fn unreadable(code: ErrorCode, why: &str) -> ErrorBody {
    ErrorBody::new(code, "This frame could not be read.").with("reason", why)
}

/// To a socket that has not logged in when the server stops; the hub tells the others.
fn go_away() -> ServerFrame {
    // Nobody else learns this number, so the process's clock is random enough to spread them.
    let spread_ms = u64::from(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos())) % 1_000;
    ServerFrame::new(ServerBody::GoAway(GoAway { reconnect_after_ms: 500 + spread_ms, reason: STOP_REASON.to_owned() }))
}

/// With which code a socket closes whose client broke the protocol (RFC 6455, section 7.1.7); `None` when the connection broke.
fn fault_of(error: &axum::Error) -> Option<CloseCode> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let says = error.to_string();
        if says.contains("too long") {
            return Some(CloseCode::TooBig);
        }
        if says.starts_with("UTF-8 encoding error") {
            return Some(CloseCode::NotText);
        }
        if says.starts_with("WebSocket protocol error") && !says.contains("without closing handshake") {
            return Some(CloseCode::Protocol);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of what an asynchronous function keeps while it runs.
    fn size_of_future<Arguments, Running>(_: impl FnOnce(Arguments) -> Running) -> usize {
        size_of::<Running>()
    }

    #[test]
    fn an_idle_socket_is_small() {
        let size = size_of_future(|(socket, shared, client)| run(socket, shared, client, None));
        // Without optimizations, which make it smaller; ten thousand of them are 40 MB.
        assert!(size < 4_096, "{size} bytes");
    }

    #[test]
    fn only_a_bad_login_closes_as_one() {
        for (refusal, code) in [
            (Refusal::TokenInvalid, CloseCode::Unauthenticated),
            (Refusal::Unauthenticated, CloseCode::Unauthenticated),
            (Refusal::TokenExpired, CloseCode::TokenExpired),
            (Refusal::Banned { reason: "spam".to_owned(), until: None }, CloseCode::Removed),
            (Refusal::Internal("the disk is full".to_owned()), CloseCode::Internal),
            (Refusal::RateLimited { limit: "frame", retry_after_ms: 1 }, CloseCode::Internal),
        ] {
            let refused = Refused::because(&refusal, None);
            assert_eq!(refused.code, code, "{refusal}");
            assert!(refused.error.is_some());
        }
    }
}
