//! The table from the source documents to Parlor says nothing that is not there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// What the table says of Parlor: in each row the spans of code behind its first column, which has the names of the sources.
fn spans(page: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, line) in page.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
        // A bar in a cell is written with a backslash.
        let line = line.replace("\\|", "/");
        let ours: Vec<&str> = line.split('|').skip(2).collect();
        found.extend(ours.join("|").split('`').skip(1).step_by(2).map(|span| (at + 1, span.to_owned())));
    }
    found
}

/// A path without the names of what varies in it.
fn shape(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn every_endpoint_and_figure_that_the_sources_lead_to_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/api/sources.md")).unwrap();
    let document: Value = serde_json::from_str(&parlor::api::openapi()).unwrap();
    let mut routes = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = shape(path.strip_prefix("/api/v1").unwrap_or(path));
        routes.extend(item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())));
    }
    let figures = fs::read_to_string(root.join("src/metrics.rs")).unwrap();
    let (mut missing, mut checked) = (Vec::new(), [0, 0]);
    for (line, span) in spans(&page) {
        if let Some((method, path)) = span.split_once(' ')
            && METHODS.contains(&method)
            && path.starts_with('/')
        {
            let path = path.split(['?', ' ']).next().unwrap();
            // Figures are Prometheus', and in no description.
            if path != "/metrics" {
                checked[0] += 1;
                let is_there = routes.contains(&(method.to_owned(), shape(path)));
                missing.extend((!is_there).then(|| format!("line {line}: {method} {path}")));
            }
        }
        if span.starts_with("parlor_") {
            checked[1] += 1;
            let name = span.split('{').next().unwrap();
            missing.extend((!figures.contains(&format!("\"{name}\""))).then(|| format!("line {line}: {name}")));
        }
    }
    assert_eq!(missing, Vec::<String>::new(), "docs/api/sources.md");
    assert!(checked[0] > 80 && checked[1] > 20, "the table is read: {checked:?}");
}
