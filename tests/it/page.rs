//! The page's files, and the headers that come with everything.

use std::fs;

use reqwest::{Method, StatusCode};

use crate::harness::{Server, answer};

async fn server_with_page() -> Server {
    let folder = tempfile::tempdir().unwrap();
    let web = folder.path().join("web");
    fs::create_dir_all(web.join("assets")).unwrap();
    fs::write(web.join("index.html"), "<!doctype html><title>Parlor</title>").unwrap();
    fs::write(web.join("assets/app-1.js"), "export {}").unwrap();
    fs::write(web.join("icon.svg"), "<svg/>").unwrap();
    Server::start_in(folder, |_| {}).await
}

#[tokio::test]
async fn every_view_of_the_page_is_the_page() {
    let server = server_with_page().await;
    for path in ["/", "/rooms/01938a5c-0000-7000-8000-000000000001", "/claim/secret.with.dots/x", "/index.html"] {
        let page = server.anonymous().get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(page.text.contains("<title>Parlor") && page.header("content-type").starts_with("text/html"));
        assert_eq!(page.header("cache-control"), "no-cache");
    }
}

#[tokio::test]
async fn files_are_files_or_nothing() {
    let server = server_with_page().await;
    let script = server.anonymous().get("/assets/app-1.js").await;
    assert_eq!(script.text, "export {}");
    assert!(
        script.header("cache-control").contains("immutable") && script.header("content-type").contains("javascript")
    );
    assert_eq!(server.anonymous().get("/icon.svg").await.header("content-type"), "image/svg+xml");
    for path in ["/assets/app-2.js", "/favicon.ico", "/..%2fdata%2fparlor.db", "/%2e%2e/data/parlor.db", "/assets/"] {
        server.anonymous().get(path).await.refused(404, "not_found");
    }
    answer(server.anonymous().request(Method::POST, "/")).await.refused(404, "not_found");
}

#[tokio::test]
async fn without_a_built_page_the_rest_works() {
    let server = Server::start().await;
    server.anonymous().get("/").await.refused(404, "not_found");
    server.anonymous().get("/health").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn every_answer_tells_browsers_how_far_to_trust_it() {
    let server = server_with_page().await;
    for path in ["/", "/assets/app-1.js", "/api/v1/castles", "/health", "/api/v1/docs/"] {
        let answer = server.anonymous().get(path).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        let host = server.base.trim_start_matches("http://");
        assert!(policy.contains(&format!("connect-src 'self' ws://{host} wss://{host};")), "{policy}");
        assert!(policy.contains("media-src 'self' blob:;"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(
            answer.header("permissions-policy").starts_with("camera=(self), microphone=(self), display-capture=(self)")
        );
        assert_eq!(answer.header("strict-transport-security"), "", "a promise of https over http is void");
        assert!(!answer.header("x-request-id").is_empty());
    }
}

#[tokio::test]
async fn named_origins_may_read_and_others_may_not() {
    let server = Server::start_with(|config| config.allowed_origins = vec!["https://chat.example".into()]).await;
    let ask = async |origin: &str| {
        let request = server.anonymous().request(Method::OPTIONS, "/api/v1/rooms").header("origin", origin);
        answer(
            request
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "authorization"),
        )
        .await
    };
    assert_eq!(ask("https://chat.example").await.header("access-control-allow-origin"), "https://chat.example");
    assert_eq!(ask("https://evil.example").await.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn the_page_of_the_description_needs_nothing_from_elsewhere() {
    let server = Server::start().await;
    let page = server.anonymous().get("/api/v1/docs/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text.contains("<style"), "an inline style would break the policy");
    for tag in page.text.split('<').filter(|tag| tag.starts_with("script")) {
        assert!(tag.contains("src="), "an inline script would break the policy: <{tag}");
    }
    for link in page.text.split("href=\"").skip(1).chain(page.text.split("src=\"").skip(1)) {
        let target = link.split('"').next().unwrap();
        assert!(!target.contains("//"), "{target} comes from elsewhere");
        let file = server.anonymous().get(&format!("/api/v1/docs/{}", target.trim_start_matches("./"))).await;
        assert_eq!(file.status, StatusCode::OK, "{target}");
    }
}
