//! What a key must be for: a scope for each route and each frame. What is not in the list no key may do.

use axum::extract::MatchedPath;
use axum::http::Method;
use axum::http::request::Parts;

use crate::auth::Access;
use crate::domain::{Refusal, Scope};
use crate::proto::ClientBody;

/// Routes under `/api/v1` by how they begin: the first line that fits counts. A method of `*` is any.
const ROUTES: &[(&str, &str, Scope)] = {
    use Scope::{
        Account, CallsJoin, DirectWrite, MessagesRead, MessagesWrite, ModerationRead, ModerationWrite,
        RecordingsManage, RoomsManage, RoomsRead, RoomsWrite, WebhooksManage,
    };
    &[
        ("GET", "/auth/me", RoomsRead),
        ("POST", "/auth/ticket", MessagesRead),
        ("*", "/auth/", Account),
        ("*", "/api-keys", Account),
        ("*", "/bots", Account),
        ("*", "/webhooks", WebhooksManage),
        // Messages.
        ("*", "/rooms/{roomId}/messages/{messageId}/pin", RoomsManage),
        ("*", "/rooms/{roomId}/messages/{messageId}/thread", RoomsManage),
        ("POST", "/rooms/{roomId}/messages/delete", RoomsManage),
        ("GET", "/rooms/{roomId}/messages", MessagesRead),
        ("*", "/rooms/{roomId}/messages", MessagesWrite),
        ("GET", "/rooms/{roomId}/pins", MessagesRead),
        ("GET", "/search", MessagesRead),
        ("GET", "/files/", MessagesRead),
        ("*", "/uploads", MessagesWrite),
        ("GET", "/previews", MessagesRead),
        // What is read, and who is there.
        ("*", "/rooms/{roomId}/read", MessagesRead),
        ("*", "/rooms/{roomId}/unread", MessagesRead),
        ("GET", "/rooms/{roomId}/receipts", MessagesRead),
        ("PUT", "/rooms/{roomId}/notifications", MessagesRead),
        ("GET", "/unread", MessagesRead),
        ("GET", "/users/{userId}/presence", RoomsRead),
        // Calls.
        ("*", "/rooms/{roomId}/whip", CallsJoin),
        ("*", "/rooms/{roomId}/whep", CallsJoin),
        ("*", "/rooms/{roomId}/stream-keys", RoomsManage),
        ("GET", "/rooms/{roomId}/call", CallsJoin),
        ("*", "/rooms/{roomId}/call/", CallsJoin),
        ("*", "/calls/{callId}/recording", RecordingsManage),
        ("*", "/calls", CallsJoin),
        ("GET", "/users/{userId}/calls", CallsJoin),
        ("*", "/recordings", RecordingsManage),
        ("GET", "/webrtc", CallsJoin),
        // Rooms.
        ("POST", "/rooms/{roomId}/join", RoomsWrite),
        ("POST", "/rooms/{roomId}/leave", RoomsWrite),
        ("POST", "/rooms/{roomId}/requests/", RoomsManage),
        ("GET", "/rooms/{roomId}/requests", RoomsManage),
        ("POST", "/rooms/{roomId}/requests", RoomsWrite),
        ("*", "/rooms/{roomId}/invites", RoomsWrite),
        ("*", "/invites", RoomsWrite),
        ("GET", "/rooms", RoomsRead),
        ("POST", "/rooms", RoomsWrite),
        ("*", "/rooms/", RoomsManage),
        // Direct rooms.
        ("GET", "/dms", MessagesRead),
        ("*", "/dms", DirectWrite),
        // Order on the site.
        ("POST", "/reports", ModerationWrite),
        ("GET", "/moderation", ModerationRead),
        ("*", "/moderation", ModerationWrite),
    ]
};

/// Refuses a key that is not for this request; people pass.
///
/// # Errors
/// `scope_missing`.
pub(super) fn permit(parts: &Parts, access: &Access) -> Result<(), Refusal> {
    if access.scopes.is_none() {
        return Ok(());
    }
    let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    access.permit(of_route(&parts.method, path))
}

/// What a key has to be for, to ask this.
fn of_route(method: &Method, path: &str) -> Scope {
    let path = path.strip_prefix("/api").unwrap_or(path);
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    // `POST /rooms` makes a room, and `GET /auth/me` says a name; what lies below them is another matter.
    let fits = |asked: &str, begins: &str| match (asked, begins) {
        ("POST", "/rooms") | ("GET", "/auth/me") => path == begins,
        _ => path.starts_with(begins),
    };
    let found = ROUTES.iter().find(|(asked, begins, _)| (*asked == "*" || *asked == method) && fits(asked, begins));
    found.map_or(Scope::Account, |(.., scope)| *scope)
}

/// What a key has to be for, to send this frame. `None`: anything; a socket takes `messages:read` to be opened at all.
pub(super) fn of_frame(body: &ClientBody) -> Option<Scope> {
    Some(match body {
        ClientBody::Authenticate(_) | ClientBody::Ping => return None,
        ClientBody::JoinRoom(_)
        | ClientBody::LeaveRoom(_)
        | ClientBody::MarkRead(_)
        | ClientBody::MarkUnread(_)
        | ClientBody::Presence(_) => Scope::MessagesRead,
        ClientBody::SendMessage(_)
        | ClientBody::EditMessage(_)
        | ClientBody::DeleteMessage(_)
        | ClientBody::React(_)
        | ClientBody::Vote(_)
        | ClientBody::Typing(_) => Scope::MessagesWrite,
        ClientBody::PinMessage(_)
        | ClientBody::LockThread(_)
        | ClientBody::RemoveMember(_)
        | ClientBody::SetMemberRole(_) => Scope::RoomsManage,
        ClientBody::MatchStart(_)
        | ClientBody::MatchConfirm(_)
        | ClientBody::MatchNext(_)
        | ClientBody::MatchStop(_) => Scope::Account,
        _ => Scope::CallsJoin,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_has_its_scope() {
        let document: serde_json::Value = serde_json::from_str(&super::super::openapi()).unwrap();
        let mut lines = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with("/api")) {
            for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
                let method = method.to_uppercase();
                let scope = of_route(&Method::from_bytes(method.as_bytes()).unwrap(), path);
                lines.push((scope, format!("{method} {}", path.trim_start_matches("/api/v1"))));
            }
        }
        // Each line of the table is there for something, and nothing of the account is within reach.
        for (method, begins, _) in ROUTES {
            let is_route = |line: &String| {
                let (verb, path) = line.split_once(' ').unwrap();
                (*method == "*" || *method == verb) && path.starts_with(begins)
            };
            assert!(lines.iter().any(|(_, line)| is_route(line)), "{method} {begins} is no route");
        }
        let of = |line: &str| lines.iter().find(|(_, it)| it == line).map(|(scope, _)| *scope);
        for line in [
            "POST /api-keys",
            "DELETE /auth/me",
            "GET /auth/me/export",
            "PUT /auth/password",
            "PUT /users/{userId}/role",
            "POST /bots",
        ] {
            assert_eq!(of(line), Some(Scope::Account), "{line}");
        }
        assert_eq!(of("POST /rooms/{roomId}/messages"), Some(Scope::MessagesWrite));
        assert_eq!(of("GET /rooms/{roomId}/messages"), Some(Scope::MessagesRead));
        assert_eq!(of("POST /rooms"), Some(Scope::RoomsWrite));
        assert_eq!(of("PATCH /rooms/{roomId}"), Some(Scope::RoomsManage));
        assert_eq!(of("GET /rooms/{roomId}"), Some(Scope::RoomsRead));
        assert_eq!(of("DELETE /rooms/{roomId}"), Some(Scope::RoomsManage));
    }
}
