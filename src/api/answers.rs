//! With which statuses each route refuses, written into the description: what the routes' own notes call `default` becomes one entry
//! per status. Most follow from what a route takes and who may ask; the rest is a table.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::{ContentBuilder, HeaderBuilder, ObjectBuilder, OpenApi as Document, Ref, RefOr, Required, Type};

use super::once;

/// The media type of a problem document (RFC 9457, section 3).
const PROBLEM: &str = "application/problem+json";
/// Every status with which something is refused, and what its answer is called in the description.
const REFUSALS: &[(u16, &str)] = &[
    (400, "BadRequest"),
    (401, "Unauthorized"),
    (403, "Forbidden"),
    (404, "NotFound"),
    (406, "NotAcceptable"),
    (409, "Conflict"),
    (410, "Gone"),
    (412, "PreconditionFailed"),
    (413, "TooLarge"),
    (415, "UnsupportedMediaType"),
    (416, "RangeNotSatisfiable"),
    (422, "Unprocessable"),
    (428, "PreconditionRequired"),
    (429, "TooManyRequests"),
    (451, "NotHere"),
    (500, "Internal"),
    (501, "NotImplemented"),
    (503, "Unavailable"),
    (507, "NoRoom"),
];
/// What does not follow from a route's shape: the method (`*`: any), how the path begins, how it ends, and with which statuses it
/// refuses besides.
const BESIDES: &[(&str, &str, &str, &[u16])] = &[
    // Entering: names that are taken, hosts that belong to no cluster, and countries from which nobody comes in.
    ("post", "/api/v1/auth/anonymous", "", &[404, 409, 451]),
    ("post", "/api/v1/auth/register", "", &[404, 409, 422, 451]),
    ("post", "/api/v1/auth/login", "/login", &[404, 451]),
    ("post", "/api/v1/auth/login/code", "", &[404, 451]),
    ("post", "/api/v1/auth/login/passkey", "/passkey", &[404, 451]),
    ("get", "/api/v1/cluster", "", &[404]),
    ("get", "/api/v1/features", "", &[404]),
    // What one has none of, or has already; weak passwords, and names that do not fit.
    ("post", "/api/v1/auth/login/passkey/options", "", &[404]),
    ("post", "/api/v1/auth/claim", "", &[404]),
    ("post", "/api/v1/auth/upgrade", "", &[404, 409, 422]),
    ("put", "/api/v1/auth/password", "", &[404, 409, 422]),
    ("post", "/api/v1/auth/passkeys", "", &[404, 409]),
    ("*", "/api/v1/auth/totp", "", &[404]),
    ("post", "/api/v1/auth/totp", "", &[409]),
    ("post", "/api/v1/auth/second-factor", "", &[404]),
    // More hashes of passwords wait than there is time for.
    ("post", "/api/v1/auth/register", "", &[503]),
    ("post", "/api/v1/auth/upgrade", "", &[503]),
    ("post", "/api/v1/auth/login", "/login", &[503]),
    ("put", "/api/v1/auth/password", "", &[503]),
    ("*", "/api/v1/auth/totp", "/totp", &[503]),
    ("*", "/api/v1/auth/passkeys/", "", &[503]),
    ("delete", "/api/v1/auth/me", "/me", &[503]),
    // Steps of a login are answered by the node that took the one before.
    ("post", "/api/v1/auth/login/", "", &[503]),
    ("post", "/api/v1/auth/passkeys", "/passkeys", &[503]),
    // Whom or what one asks for by its id in the body or the query.
    ("post", "/api/v1/dms", "/dms", &[404]),
    ("post", "/api/v1/dms/groups", "", &[404]),
    ("post", "/api/v1/reports", "", &[404]),
    ("post", "/api/v1/webhooks", "", &[404]),
    // Of a room that one is not in.
    ("get", "/api/v1/webhooks", "/webhooks", &[404, 409]),
    // What others did first, and rooms whose recordings are to go before.
    ("*", "/api/v1/moderation/cases/{caseId}/", "", &[409]),
    ("patch", "/api/v1/rooms/{roomId}", "", &[409]),
    ("delete", "/api/v1/rooms/{roomId}", "", &[409]),
    // Invitations end, and so do rooms.
    ("post", "/api/v1/invites/", "/accept", &[409, 410]),
    ("post", "/api/v1/rooms/{roomId}/join", "", &[410]),
    // Texts without a word, or with too many.
    ("post", "/api/v1/rooms/{roomId}/messages", "/messages", &[422]),
    ("patch", "/api/v1/rooms/{roomId}/messages/", "", &[422]),
    // Files: types that are not taken, and states of uploads that tus names so.
    ("post", "/api/v1/uploads", "", &[412, 415, 422]),
    ("patch", "/api/v1/uploads/", "", &[409, 410, 412, 415, 422]),
    ("delete", "/api/v1/uploads/", "", &[409]),
    ("head", "/api/v1/uploads/", "", &[410, 412]),
    ("get", "/api/v1/files/", "", &[409, 410, 416]),
    ("delete", "/api/v1/recordings/", "", &[409]),
    ("post", "/api/v1/recordings/", "", &[409]),
    ("get", "/api/v1/recordings/", "/files/{fileId}", &[409, 416]),
    ("post", "/api/v1/recordings/", "/composed", &[501]),
    ("post", "/api/v1/calls/", "/recording", &[507]),
    // The folder or the bucket of files may not answer, nor the page that a link leads to.
    ("*", "/api/v1/uploads", "", &[503]),
    ("*", "/api/v1/files/", "", &[503]),
    ("delete", "/api/v1/recordings/", "", &[503]),
    ("post", "/api/v1/recordings/", "", &[503]),
    ("get", "/api/v1/recordings/", "/files/{fileId}", &[503]),
    ("get", "/api/v1/moderation/evidence/", "", &[503]),
    // Previews that are off, and links that lead to nothing.
    ("get", "/api/v1/previews", "", &[404, 503]),
    // RFC 9725, sections 4.1 to 4.4.
    ("post", "/api/v1/rooms/{roomId}/wh", "p", &[406, 415, 422]),
    ("patch", "/api/v1/rooms/{roomId}/wh", "/{sessionId}", &[412, 415, 422, 428]),
];

/// Makes the description exact: every status by its number, every operation by a name that no other has.
pub(super) fn spell_out(document: &mut Document) {
    let components = document.components.get_or_insert_default();
    for (status, name) in REFUSALS {
        components.responses.insert((*name).to_owned(), RefOr::T(refusal(*status)));
    }
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            operation.operation_id = Some(name_of(method, path));
            if method == "post" && makes_something(path, operation) {
                operation.parameters.get_or_insert_default().push(RefOr::T(once_key()));
            }
            if operation.responses.responses.remove("default").is_none() {
                continue;
            }
            for status in refusals_of(method, path, operation) {
                let name = REFUSALS.iter().find(|(it, _)| *it == status).expect("the table holds them all").1;
                let answer = RefOr::Ref(Ref::from_response_name(name));
                operation.responses.responses.entry(status.to_string()).or_insert(answer);
            }
        }
    }
}

/// Whether a POST makes something, so that its name for the request counts ([`super::once`]).
pub(super) fn makes_something(path: &str, post: &Operation) -> bool {
    let route = path.strip_prefix("/api/v1");
    post.responses.responses.contains_key("201") && route.is_some_and(|route| !once::BY_ITSELF.contains(&route))
}

fn once_key() -> Parameter {
    let meaning = "Your own name for this request, 1 to 255 visible ASCII characters: the same name with the same request again, within \
        24 hours, gets the same answer, and nothing is made twice.";
    let schema = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255));
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(meaning))
        .schema(Some(schema.pattern(Some("^[!-~]+$"))))
        .build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let PathItem { get, put, post, delete, head, patch, .. } = item;
    let all = [("get", get), ("put", put), ("post", post), ("delete", delete), ("head", head), ("patch", patch)];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// `GET /api/v1/rooms/{roomId}/messages` is `getRoomsByRoomIdMessages`.
fn name_of(method: &str, path: &str) -> String {
    let mut name = method.to_owned();
    for part in path.trim_start_matches("/api/v1").split('/').filter(|part| !part.is_empty()) {
        let (by, part) = part.strip_prefix('{').map_or(("", part), |id| ("By", id.trim_end_matches('}')));
        name.push_str(by);
        for word in part.split(['-', '.']) {
            let mut letters = word.chars();
            name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            name.push_str(letters.as_str());
        }
    }
    name
}

fn refusals_of(method: &str, path: &str, operation: &Operation) -> Vec<u16> {
    let parameters = || operation.parameters.iter().flatten().filter_map(plain);
    let asks_for = |name: &str| parameters().find(|it| it.name.eq_ignore_ascii_case(name));
    let has_body = operation.request_body.is_some();
    let tags = operation.tags.as_deref().unwrap_or_default();
    // Whoever asks too much, from where they may not, or while the server has a fault.
    let mut refusals = vec![403, 429, 500];
    let mut add = |holds: bool, statuses: &[u16]| {
        if holds {
            refusals.extend(statuses);
        }
    };
    let is_named = path.contains('{');
    let is_change = method != "get" && method != "head";
    let is_once = asks_for("Idempotency-Key").is_some();
    // What lives in a room may be answered by another node, and one may have to come in first, or to wait at the door.
    let is_inside = ["/api/v1/rooms/{roomId}/", "/api/v1/calls/"].iter().any(|place| path.starts_with(place));
    let is_file = tags.iter().any(|tag| tag == "files");
    let has_query = parameters().any(|it| it.parameter_in == ParameterIn::Query);
    add(has_body || is_once || has_query || is_inside || is_file || (is_change && is_named), &[400]);
    add(operation.security.is_some() || tags.iter().any(|tag| tag == "auth"), &[401]);
    add(is_named, &[404]);
    add(is_inside, &[409, 503]);
    add(is_once, &[409, 422]);
    add(has_body, &[413]);
    if let Some(tag) = asks_for("If-Match") {
        add(true, &[412]);
        add(tag.required == Required::True, &[428]);
    }
    for (of, begins, ends, statuses) in BESIDES {
        add((*of == method || *of == "*") && path.starts_with(begins) && path.ends_with(ends), statuses);
    }
    refusals.sort_unstable();
    refusals.dedup();
    refusals
}

fn plain(parameter: &RefOr<Parameter>) -> Option<&Parameter> {
    match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    }
}

/// A problem document under that status, with the headers that belong to it.
fn refusal(status: u16) -> utoipa::openapi::Response {
    let words = StatusCode::from_u16(status).ok().and_then(|it| it.canonical_reason()).unwrap_or("Error");
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let mut answer = ResponseBuilder::new().description(words).content(PROBLEM, problem).build();
    let headers: &[(&str, &str, Type)] = match status {
        401 => &[("WWW-Authenticate", "`Bearer` (RFC 6750, section 3).", Type::String)],
        403 | 429 | 503 => {
            &[("Retry-After", "Seconds, where waiting helps; `retryAfterMs` says it finer.", Type::Integer)]
        }
        412 => &[("ETag", "What it is now, where it was looked at.", Type::String)],
        _ => &[],
    };
    let headers = headers.iter().map(|(name, meaning, kind)| {
        let schema = ObjectBuilder::new().schema_type(kind.clone()).build();
        let header = HeaderBuilder::new().schema(Some(schema)).description(Some(*meaning)).build();
        ((*name).to_owned(), RefOr::T(header))
    });
    answer.headers = headers.collect::<BTreeMap<_, _>>();
    answer
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn document() -> Document {
        super::super::openapi::router().1
    }

    #[test]
    fn every_status_is_a_number_and_every_name_is_one_operations() {
        let mut document = document();
        let mut names = HashSet::new();
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in operations(item) {
                assert!(names.insert(operation.operation_id.clone()), "{method} {path}");
                let statuses: Vec<_> = operation.responses.responses.keys().collect();
                assert!(statuses.iter().all(|status| status.parse::<u16>().is_ok()), "{method} {path}: {statuses:?}");
            }
        }
        assert!(names.contains(&Some("getRoomsByRoomIdMessages".to_owned())), "{names:?}");
    }

    #[test]
    fn every_line_of_the_table_is_about_a_route() {
        let mut document = document();
        for (of, begins, ends, _) in BESIDES {
            let fits = |path: &str| path.starts_with(begins) && path.ends_with(ends);
            let mut all = document.paths.paths.iter_mut();
            assert!(
                all.any(|(path, item)| fits(path) && operations(item).any(|(method, _)| *of == "*" || method == *of)),
                "{of} {begins}…{ends}"
            );
        }
    }

    #[test]
    fn every_name_leads_somewhere() {
        let text = super::super::openapi::document();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        for reference in text.split("\"$ref\": \"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }
}
