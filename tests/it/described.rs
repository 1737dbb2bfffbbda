//! The description of REST against what the server answers: the harness shows every answer of every test to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::OnceLock;

use reqwest::{Method, StatusCode, Url};
use serde_json::Value;

/// Per method and path, as its parts: the statuses that the description names.
type Routes = Vec<(String, Vec<String>, BTreeSet<u16>)>;

fn routes() -> &'static Routes {
    static ROUTES: OnceLock<Routes> = OnceLock::new();
    ROUTES.get_or_init(|| {
        let document: Value = serde_json::from_str(&parlor::api::openapi()).expect("it is JSON");
        let paths = document["paths"].as_object().expect("it has paths").iter();
        let operations = paths.flat_map(|(path, item)| {
            let parts: Vec<String> = path.trim_start_matches('/').split('/').map(str::to_owned).collect();
            item.as_object().expect("a path has methods").iter().map(move |(method, operation)| {
                let statuses = operation["responses"].as_object().expect("it answers").keys();
                (method.to_uppercase(), parts.clone(), statuses.filter_map(|status| status.parse().ok()).collect())
            })
        });
        operations.collect()
    })
}

/// The answer to that is one that the description names, if it describes the route at all.
#[track_caller]
pub(crate) fn is_described(method: &Method, url: &Url, status: StatusCode) {
    let path = url.path().trim_start_matches('/').to_owned();
    let path = if path.starts_with("api/v1/") { path } else { path.replacen("api/", "api/v1/", 1) };
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |pattern: &[String]| {
        pattern.len() == parts.len() && pattern.iter().zip(&parts).all(|(it, part)| it.starts_with('{') || it == part)
    };
    let mut found: Vec<_> = routes().iter().filter(|(of, pattern, _)| of == method.as_str() && fits(pattern)).collect();
    // `/rooms/mine` is not `/rooms/{roomId}`.
    found.sort_by_key(|(_, pattern, _)| pattern.iter().filter(|part| part.starts_with('{')).count());
    let Some((_, pattern, statuses)) = found.first() else { return };
    assert!(
        statuses.contains(&status.as_u16()),
        "{method} /{} answered {status}, which its description does not name: {statuses:?}",
        pattern.join("/")
    );
}

/// Two types of one name would be one schema in the description, and half of the answers would break it.
#[test]
fn no_two_schemas_share_a_name() {
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                for name in schemas(&std::fs::read_to_string(&path).unwrap()) {
                    named.entry(name).or_default().push(path.display().to_string());
                }
            }
        }
    }
    assert!(named.len() > 100, "the sources are read");
    named.retain(|_, files| files.len() > 1);
    assert_eq!(named, BTreeMap::new(), "give one of them another name: #[schema(as = …)]");
}

/// The names of the schemas that a source declares, without those of macros.
fn schemas(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut awaited: Option<Option<String>> = None;
    for line in source.lines().map(str::trim) {
        let attributes: HashMap<&str, ()> = line.split(|c: char| !c.is_alphanumeric()).map(|word| (word, ())).collect();
        if line.starts_with("#[derive(") && attributes.contains_key("ToSchema") {
            awaited = Some(None);
        }
        let Some(renamed) = &mut awaited else { continue };
        if let Some(name) = line.split_once("#[schema(as = ").map(|(_, rest)| rest) {
            *renamed = name.split(|c: char| !c.is_alphanumeric()).next().map(str::to_owned);
        }
        let own = line.split_once("struct ").or_else(|| line.split_once("enum ")).filter(|_| !line.starts_with('#'));
        if let Some((_, rest)) = own.filter(|_| !line.starts_with("//")) {
            let own = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            names.extend(renamed.take().or_else(|| (!own.is_empty()).then(|| own.to_owned())));
            awaited = None;
        }
    }
    names
}
