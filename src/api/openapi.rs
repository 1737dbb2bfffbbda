//! The routes and their description (OpenAPI 3.1) from one list, and the page that shows it.

use axum::Router;
use axum::response::Redirect;
use axum::routing::{MethodRouter, get};
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{
    Shared, accounts, answers, api_keys, auth, bans, blocks, calls, clusters, direct, download, erasure, files, health,
    hosting, invites, keeping, marks, members, messages, moderation, passkeys, presence, previews, recordings, reports,
    rooms, search, second, sessions, settings, stream_keys, unread, uploads, webhooks, webrtc, whip,
};
use crate::domain::SessionId;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Parlor",
        description = "Rooms where people meet. Every error is a problem document (RFC 9457) with a stable `code`. Times are RFC 3339 \
            in UTC, ids are UUIDv7. Calls and live events need the WebSocket at `/ws`: see `docs/protocol.md`."
    ),
    modifiers(&Bearer),
    // It stands in paths alone.
    components(schemas(SessionId)),
    tags(
        (name = "auth", description = "Entering, staying and leaving"),
        (name = "clusters", description = "Whose place this is, and what it offers"),
        (name = "rooms", description = "Places to meet"),
        (name = "messages", description = "What was written"),
        (name = "reading", description = "What you have read, searching it, and who is there"),
        (name = "members", description = "Who is in a room, and roles"),
        (name = "strangers", description = "Whom one meets, and whom not; searching needs the WebSocket"),
        (name = "direct", description = "Conversations of two or a few people, and message requests"),
        (name = "files", description = "Files of messages: uploading (tus 1.0, or one form) and fetching"),
        (name = "calls", description = "Calls and what they need"),
        (name = "streams", description = "Publishing and watching by HTTP: WHIP (RFC 9725) and WHEP, and the keys for programs"),
        (name = "recordings", description = "Recording calls, and what came of it"),
        (name = "moderation", description = "Keeping order on the site"),
        (name = "programs", description = "Keys, bots and webhooks: what programs act by, and what they are told"),
        (name = "operate", description = "For operators"),
    )
)]
struct Head;

/// Names the scheme that the routes refer to.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let mut http = Http::new(HttpAuthScheme::Bearer);
        http.bearer_format = Some("JWT".to_owned());
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(http));
    }
}

/// The routes of REST with their description. `/api` is the same as `/api/v1`.
pub(super) fn router() -> (Router<Shared>, Document) {
    let described = OpenApiRouter::with_openapi(Head::openapi()).nest("/api/v1", rest()).merge(operate());
    let (versioned, mut document) = described.split_for_parts();
    answers::spell_out(&mut document);
    let (unversioned, _) = OpenApiRouter::new().nest("/api", rest()).split_for_parts();
    (versioned.merge(unversioned), document)
}

fn rest() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(auth::enter))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(auth::ticket))
        .routes(routes!(accounts::me, erasure::erase))
        .routes(routes!(erasure::export))
        .routes(routes!(erasure::receipt_key))
        .routes(routes!(accounts::register))
        .routes(routes!(accounts::log_in))
        .routes(routes!(accounts::upgrade))
        .routes(routes!(accounts::change_password))
        .routes(routes!(accounts::set_age_level))
        .routes(routes!(auth::challenge))
        .routes(routes!(second::log_in))
        .routes(routes!(second::step_up))
        .routes(routes!(second::want, second::end))
        .routes(routes!(second::confirm))
        .routes(routes!(passkeys::list, passkeys::add))
        .routes(routes!(passkeys::want))
        .routes(routes!(passkeys::remove))
        .routes(routes!(passkeys::ask))
        .routes(routes!(passkeys::log_in))
        .routes(routes!(sessions::list, sessions::end_others))
        .routes(routes!(sessions::end))
        .routes(routes!(auth::claim))
        .routes(routes!(api_keys::create, api_keys::list))
        .routes(routes!(api_keys::revoke))
        .routes(routes!(api_keys::create_bot, api_keys::list_bots))
        .routes(routes!(webhooks::create, webhooks::list))
        .routes(routes!(webhooks::show, webhooks::change, webhooks::remove))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::replay))
        .routes(routes!(rooms::list, rooms::create))
        .routes(routes!(rooms::mine))
        .routes(routes!(rooms::categories))
        .routes(routes!(rooms::show, settings::edit, settings::delete))
        .routes(routes!(settings::archive))
        .routes(routes!(settings::transfer))
        .routes(routes!(rooms::join))
        .routes(routes!(invites::create, invites::list))
        .routes(routes!(invites::revoke))
        .routes(routes!(invites::accept))
        .routes(routes!(invites::ask, invites::requests))
        .routes(routes!(invites::approve))
        .routes(routes!(invites::deny))
        .routes(routes!(keeping::roster))
        .routes(routes!(keeping::kick))
        .routes(routes!(keeping::mute))
        .routes(routes!(keeping::bans))
        .routes(routes!(keeping::ban, keeping::unban))
        .routes(routes!(keeping::trust))
        .routes(routes!(rooms::leave))
        .routes(routes!(rooms::call))
        .routes(routes!(messages::list, messages::send))
        .routes(routes!(messages::show, messages::edit, messages::delete))
        .routes(routes!(messages::delete_many))
        .routes(routes!(messages::versions))
        .routes(routes!(marks::react, marks::unreact, marks::reactors))
        .routes(routes!(marks::pin, marks::unpin))
        .routes(routes!(marks::pins))
        .routes(routes!(marks::vote, marks::votes))
        .routes(routes!(marks::lock_thread))
        .routes(routes!(unread::mark_read))
        .routes(routes!(unread::show, unread::mark_unread))
        .routes(routes!(unread::list))
        .routes(routes!(unread::notifications))
        .routes(routes!(unread::receipts))
        .routes(routes!(unread::setting, unread::set_setting))
        .routes(routes!(search::search))
        .routes(routes!(presence::show, presence::choose))
        .routes(routes!(members::list))
        .routes(routes!(members::remove))
        .routes(routes!(members::set_role))
        .routes(routes!(members::set_site_role))
        .routes(routes!(blocks::block, blocks::unblock))
        .routes(routes!(blocks::list))
        .routes(routes!(direct::list, direct::open))
        .routes(routes!(direct::create_group))
        .routes(routes!(direct::requests))
        .routes(routes!(direct::decline_all))
        .routes(routes!(direct::accept))
        .routes(routes!(direct::decline))
        .routes(routes!(direct::show, direct::rename))
        .routes(routes!(direct::add))
        .routes(routes!(direct::leave))
        .routes(routes!(direct::taken_from, direct::take_from))
        .routes(routes!(calls::show))
        .routes(routes!(calls::of_user))
        .routes(routes!(calls::quality))
        .routes(routes!(calls::mute_track))
        .routes(routes!(hosting::mute_all))
        .routes(routes!(hosting::disable))
        .routes(routes!(hosting::spotlight))
        .routes(routes!(hosting::lock))
        .routes(routes!(hosting::waiting_room))
        .routes(routes!(hosting::waiting))
        .routes(routes!(hosting::admit))
        .routes(routes!(hosting::deny))
        .routes(routes!(hosting::remove))
        .routes(routes!(hosting::end))
        .routes(routes!(whip::publish))
        .routes(routes!(whip::watch))
        .routes(routes!(whip::change_publisher, whip::end_publisher))
        .routes(routes!(whip::change_player, whip::end_player))
        .route("/rooms/{roomId}/whip", endpoint_only())
        .route("/rooms/{roomId}/whep", endpoint_only())
        .route("/rooms/{roomId}/whip/{sessionId}", session_only())
        .route("/rooms/{roomId}/whep/{sessionId}", session_only())
        .routes(routes!(stream_keys::create, stream_keys::list))
        .routes(routes!(stream_keys::revoke))
        .routes(routes!(webrtc::ice_servers))
        .routes(routes!(webrtc::candidates))
        .routes(routes!(previews::show))
        .routes(routes!(clusters::features))
        .routes(routes!(clusters::cluster))
        .routes(routes!(uploads::create))
        .routes(routes!(uploads::show, uploads::offset, uploads::append, uploads::give_up))
        .routes(routes!(files::file))
        .routes(routes!(files::thumbnail))
        .routes(routes!(recordings::of_call, recordings::start, recordings::stop))
        .routes(routes!(recordings::list))
        .routes(routes!(recordings::show, recordings::delete))
        .routes(routes!(download::file, recordings::delete_file))
        .routes(routes!(recordings::link))
        .routes(routes!(recordings::composed, recordings::compose, recordings::cancel))
        .routes(routes!(reports::create))
        .routes(routes!(moderation::list))
        .routes(routes!(moderation::show))
        .routes(routes!(moderation::claim, moderation::release))
        .routes(routes!(moderation::act))
        .routes(routes!(moderation::evidence))
        .routes(routes!(moderation::log))
        .routes(routes!(moderation::status))
        .routes(routes!(bans::list))
        .routes(routes!(bans::lift))
}

/// What a WHIP endpoint does not take, said as RFC 9725 wants it.
fn endpoint_only() -> MethodRouter<Shared> {
    let refuses = whip::endpoint_refuses;
    get(refuses).put(refuses).patch(refuses).delete(refuses)
}

/// The same for a session.
fn session_only() -> MethodRouter<Shared> {
    let refuses = whip::session_refuses;
    get(refuses).post(refuses).put(refuses)
}

fn operate() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(health::live)).routes(routes!(health::ready)).routes(routes!(health::metrics))
}

/// The description as JSON, for `parlor openapi`.
#[must_use]
pub fn document() -> String {
    router().1.to_pretty_json().expect("the document is plain data")
}

/// `/api/v1/openapi.json`, and `/api/v1/docs` for people. Its scripts come with the binary.
pub(super) fn page(document: Document) -> Router<Shared> {
    // Without its top bar: the logo in it has a style of its own, which the policy forbids.
    let layout = Config::new(["/api/v1/openapi.json"]).use_base_layout();
    let page: Router<Shared> =
        SwaggerUi::new("/api/v1/docs").url("/api/v1/openapi.json", document).config(layout).into();
    page.route("/api/docs", get(async || Redirect::permanent("/api/v1/docs")))
        .route("/api/openapi.json", get(async || Redirect::permanent("/api/v1/openapi.json")))
}
