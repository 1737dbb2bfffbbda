//! Requests about what lives on another node: its answer is ours.

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use tower::ServiceExt as _;

use super::access::bearer;
use super::client::Client;
use super::error::Error;
use super::listen::Wire;
use super::{Shared, once};
use crate::auth::Auth;
use crate::domain::{
    CallId, NodeId, Refusal, RoomId,
    peer::{Errand, Exchange, Outcome},
};
use crate::limit::Rule;
use crate::nodes::{Home, Neighbours};

/// The longest body that goes along, in bytes: an offer. Files take another way.
const BODY_LIMIT: usize = 256 * 1024;
/// The longest answer, in bytes: a page of messages.
const ANSWER_LIMIT: usize = 2 * 1024 * 1024;
/// When whoever got no answer is to ask again, in milliseconds.
const AGAIN_MS: u64 = 1_000;
/// What of a request says something at the other end.
const ASKED: [HeaderName; 10] = [
    header::AUTHORIZATION,
    header::ACCEPT,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::HOST,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::ORIGIN,
    header::USER_AGENT,
    once::KEY,
];
/// What each answer gets from the node that the client asked.
const OWN: [HeaderName; 3] = [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::TRANSFER_ENCODING];

/// Steps of logins that follow another one, below `/api/v1/auth/`.
const LOGINS: [&str; 4] = ["login/code", "login/passkey", "login/passkey/options", "passkeys"];

/// What of such a step says where the one before it was.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    ticket: Option<String>,
    challenge_id: Option<String>,
}

/// A request that another node has sent on: it is answered here.
#[derive(Clone, Copy)]
struct Relayed;

/// Answers a request here, or has it answered where what it is about lives.
pub(super) async fn answer(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let Some(neighbours) = shared.neighbours.clone() else { return next.run(request).await };
    if request.extensions().get::<Relayed>().is_some() {
        return next.run(request).await;
    }
    let (request, of_login) = match of_login(&neighbours, request).await {
        Ok(found) => found,
        Err(refusal) => return Error::from(refusal).into_response(),
    };
    let (parts, body) = request.into_parts();
    let home = match of_login {
        Some(home) => Ok(home),
        None => home_of(&shared, &neighbours, &parts).await,
    };
    let request = Request::from_parts(parts, body);
    match home {
        Ok(Home::Here) => next.run(request).await,
        Ok(Home::At(node)) => send_on(&neighbours, node, request).await.unwrap_or_else(|error| error.into_response()),
        Err(refusal) => Error::from(refusal).into_response(),
    }
}

/// Where a step of a login is answered: where the one before it was.
async fn of_login(neighbours: &Neighbours, request: Request) -> Result<(Request, Option<Home>), Refusal> {
    let is_step = *request.method() == Method::POST
        && LOGINS.iter().any(|path| request.uri().path().strip_prefix("/api/v1/auth/") == Some(path));
    if !is_step {
        return Ok((request, None));
    }
    let (parts, body) = request.into_parts();
    let too_large = Refusal::TooLarge { limit_bytes: BODY_LIMIT as u64 };
    let body = to_bytes(body, BODY_LIMIT).await.map_err(|_| too_large)?;
    let asked: Option<Step> = serde_json::from_slice(&body).ok();
    let secret = asked.and_then(|step| step.ticket.or(step.challenge_id));
    let home = match secret.and_then(|secret| Auth::node_of(&secret)) {
        Some(node) => Some(neighbours.home_at(node).await?),
        None => None,
    };
    Ok((Request::from_parts(parts, Body::from(body)), home))
}

/// Counts a request before anything is looked up for it, or sent to another node.
fn count(shared: &Shared, parts: &Parts) -> Result<(), Refusal> {
    let Some(client) = parts.extensions.get::<Client>() else { return Ok(()) };
    match bearer(parts).map(|token| shared.auth.claimed(token)) {
        Some(Ok(user)) => shared.limits.check_user(Rule::Frame, user, client.address),
        // Keys say whose they are only once they are looked up.
        Some(Err(_)) | None => shared.limits.check_address(Rule::Frame, client.address),
    }
}

/// Where a request is answered. Who does not say who they are is refused here: there is nothing that another node would answer them.
async fn home_of(shared: &Shared, neighbours: &Neighbours, asked: &Parts) -> Result<Home, Refusal> {
    let Some(path) = asked.uri.path().strip_prefix("/api/v1/") else { return Ok(Home::Here) };
    if bearer(asked).is_none() {
        return Ok(Home::Here);
    }
    let parts: Vec<&str> = path.split('/').collect();
    let of_call = match parts.as_slice() {
        ["calls", call, ..] => {
            let Ok(call) = call.parse::<CallId>() else { return Ok(Home::Here) };
            count(shared, asked)?;
            shared.rooms.room_of_call(call).await?
        }
        ["rooms", room, "call", _, ..] | ["rooms", room, "whip" | "whep", ..] => {
            let Ok(room) = room.parse::<RoomId>() else { return Ok(Home::Here) };
            count(shared, asked)?;
            Some(room)
        }
        ["rooms", room, _, ..] => {
            let Ok(room) = room.parse::<RoomId>() else { return Ok(Home::Here) };
            let home = neighbours.home_of_stream(room).await?;
            if home != Home::Here {
                count(shared, asked)?;
            }
            return Ok(home);
        }
        _ => None,
    };
    match of_call {
        None => Ok(Home::Here),
        // Only who does something makes a call live somewhere.
        Some(room) if asked.method.is_safe() => neighbours.home_of_call(room).await,
        Some(room) => match neighbours.claim_call(room).await {
            // Whoever answers says so.
            Err(Refusal::NotFound) => Ok(Home::Here),
            home => home,
        },
    }
}

async fn send_on(neighbours: &Neighbours, node: NodeId, request: Request) -> Result<Response, Error> {
    let (parts, body) = request.into_parts();
    let exchange = exchange_of(&parts, body).await?;
    match neighbours.send(node, Errand::Request(exchange)).await? {
        Outcome::Answer(answer) => Ok(response_of(answer)),
        _ => Err(Error::from(Refusal::NodeUnavailable { retry_after_ms: AGAIN_MS })),
    }
}

async fn exchange_of(parts: &Parts, body: Body) -> Result<Exchange, Refusal> {
    let too_large = Refusal::TooLarge { limit_bytes: BODY_LIMIT as u64 };
    let body = to_bytes(body, BODY_LIMIT).await.map_err(|_| too_large)?;
    let body = String::from_utf8(body.into()).map_err(|_| Refusal::bad_request("body", "This is no text."))?;
    let text = |name: &HeaderName| {
        let value = parts.headers.get(name)?.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    };
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let client = parts.extensions.get::<Client>();
    Ok(Exchange {
        line: [parts.method.as_str().to_owned(), target.to_owned()],
        address: client.map_or(IpAddr::from([127, 0, 0, 1]), |client| client.address),
        headers: ASKED.iter().filter_map(text).collect(),
        body,
    })
}

fn response_of(answer: Exchange) -> Response {
    let [status, _] = &answer.line;
    let status = status.parse().ok().and_then(|status| StatusCode::from_u16(status).ok());
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = status.unwrap_or(StatusCode::BAD_GATEWAY);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// Answers what another node has sent on.
pub(super) async fn answer_here(router: Router, asked: Exchange) -> Outcome {
    let [method, target] = &asked.line;
    let mut request = Request::builder().method(method.as_str()).uri(target);
    for (name, value) in &asked.headers {
        request = request.header(name, value);
    }
    let wire = Wire { peer: SocketAddr::new(asked.address, 0) };
    let Ok(request) = request.extension(wire).extension(Relayed).body(Body::from(asked.body)) else {
        return Outcome::Elsewhere;
    };
    let Ok(response) = router.oneshot(request).await;
    let (parts, body) = response.into_parts();
    let Ok(body) = to_bytes(Body::new(body), ANSWER_LIMIT).await else { return Outcome::Elsewhere };
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        let kept = !OWN.contains(name) && *name != super::REQUEST_ID;
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())).filter(|_| kept)
    };
    Outcome::Answer(Exchange {
        line: [parts.status.as_u16().to_string(), String::new()],
        address: asked.address,
        headers: parts.headers.iter().filter_map(text).collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}
