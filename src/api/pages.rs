//! The page: the files of `web/app/dist`, and its `index.html` for every path that is a view of it.

use std::path::Path;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use tower_http::services::{ServeDir, ServeFile};

use super::error::Error;
use crate::domain::Refusal;

/// Vite names these files after their contents, so they never change.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// Ask each time whether there is a newer one.
const ASK: HeaderValue = HeaderValue::from_static("no-cache");

/// Serves the folder to everything that no other route takes.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(folder: &Path) -> Router<S> {
    let files = ServeDir::new(folder).fallback(ServeFile::new(folder.join("index.html")));
    Router::new().fallback_service(files).layer(middleware::from_fn(around))
}

/// Decides what a page's path may be, and how long the answer may be kept.
async fn around(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let for_programs = ["/api", "/ws", "/metrics"]
        .iter()
        .any(|start| path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    let is_asset = path.starts_with("/assets/");
    let names_other_file = path.rsplit_once('.').is_some_and(|(_, ending)| !ending.contains('/') && ending != "html");
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if for_programs || !reads {
        return Error::from(Refusal::NotFound).into_response();
    }
    let mut response = next.run(request).await;
    // A missing picture or script is not the page: a browser would try to run HTML.
    let is_html =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if response.status().is_client_error() || (is_html && (names_other_file || is_asset)) {
        return Error::from(Refusal::NotFound).into_response();
    }
    let keep = if is_asset { FOREVER } else { ASK };
    response.headers_mut().insert(header::CACHE_CONTROL, keep);
    response
}
