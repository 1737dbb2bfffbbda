//! What links lead to, and what no link leads to.

use axum::Router;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::response::{Html, IntoResponse as _};
use axum::routing::get;
use parlor::config::Config;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::harness::{Answer, Person, Server};

/// A site on this machine; its address.
async fn site() -> String {
    let redirect = |to: &'static str| get(async move || (StatusCode::FOUND, [(LOCATION, to)]).into_response());
    let page = "<title>Plain</title><meta property='og:title' content='Cats &amp; dogs'><meta name=description content='All of them'>\
        <meta property='og:image' content='/cat.jpg'>";
    let app = Router::new()
        .route(
            "/page",
            get(async move |headers: HeaderMap| {
                assert!(headers.get("referer").is_none() && headers.get("cookie").is_none());
                Html(page)
            }),
        )
        .route("/moved", redirect("/page"))
        .route("/round", redirect("/round"))
        .route("/inside", redirect("http://169.254.169.254/latest/meta-data"))
        .route("/mapped", redirect("http://[::ffff:10.0.0.1]/"))
        .route("/file", redirect("file:///etc/passwd"))
        .route("/picture", get(async || ([(CONTENT_TYPE, "image/png")], "<title>No</title>").into_response()))
        .route("/large", get(async || Html(format!("<title>Large</title>{}", " ".repeat(4 << 20)))))
        .route("/late", get(async || Html(format!("{}<title>Late</title>", " ".repeat(600 << 10)))))
        .route("/nothing", get(async || Html("<p>hello")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

async fn look(person: &Person, url: &str) -> Answer {
    let encoded: String = url.bytes().map(|byte| format!("%{byte:02X}")).collect();
    person.get(&format!("/previews?url={encoded}")).await
}

fn with_intranet(config: &mut Config) {
    config.previews.enabled = true;
    config.previews.own_networks = vec!["127.0.0.1/32".parse().unwrap()];
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_says_what_it_leads_to() {
    let (server, site) = (Server::start_with(with_intranet).await, site().await);
    let ada = server.enter("ada").await;
    let seen = look(&ada, &format!("{site}/page#part")).await.expect(StatusCode::OK);
    let wanted = json!({"url": format!("{site}/page"), "title": "Cats & dogs", "description": "All of them",
        "siteName": null, "imageUrl": format!("{site}/cat.jpg")});
    assert_eq!(seen, wanted);
    assert_eq!(look(&ada, &format!("{site}/moved")).await.expect(StatusCode::OK)["title"], "Cats & dogs");
    assert_eq!(look(&ada, &format!("{site}/large")).await.expect(StatusCode::OK)["title"], "Large");
    for nothing in ["/round", "/inside", "/mapped", "/file", "/picture", "/late", "/nothing", "/absent"] {
        look(&ada, &format!("{site}{nothing}")).await.refused(404, "not_found");
    }
    server.anonymous().get("/api/v1/previews?url=http://example.org").await.refused(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_server_reaches_is_not_looked_at() {
    let site = site().await;
    let server = Server::start_with(|config| config.previews.enabled = true).await;
    let ada = server.enter("ada").await;
    let port = site.rsplit(':').next().unwrap();
    for refused in [
        &format!("{site}/page")[..],
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://10.0.0.1/",
        "http://100.64.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://224.0.0.1/",
        "http://0.0.0.0/",
        "http://user:secret@example.org/",
        "http://example.org:22/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "//example.org",
        "nonsense",
        "",
    ] {
        let told = look(&ada, refused).await.refused(400, "bad_request");
        assert_eq!(told["extra"]["field"], "url", "{refused}");
    }
    // Names are found out when they are resolved.
    for name in ["http://localhost/", "http://localhost.:80/"] {
        look(&ada, name).await.refused(404, "not_found");
    }
    look(&ada, &format!("http://localhost:{port}/page")).await.refused(400, "bad_request");
    look(&ada, &format!("http://example.org/{}", "x".repeat(3_000))).await.refused(400, "bad_request");
    assert_eq!(ada.get("/previews").await.refused(400, "bad_request")["code"], Value::from("bad_request"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_looked_at_unless_the_operator_wants_it() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let told = look(&ada, "http://example.org/").await.refused(403, "feature_off");
    assert_eq!(told["extra"]["feature"], "previews");
}
