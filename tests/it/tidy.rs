//! The house's order, held by machine: the module graph of ARCHITECTURE.md, names, sizes, licences, documented settings.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What a module may import, and does: the test fails in both directions. Only modules further down may stand in a list,
/// except the pairs of [`SIDEWAYS`].
const GRAPH: &[(&str, &[&str])] = &[
    ("main", &["lib"]),
    (
        "lib",
        &[
            "api",
            "attachments",
            "auth",
            "bus",
            "chat",
            "clusters",
            "config",
            "domain",
            "figures",
            "files",
            "hub",
            "limit",
            "matching",
            "moderation",
            "nodes",
            "open_files",
            "presence",
            "previews",
            "recording",
            "rooms",
            "secret",
            "sfu",
            "store",
            "webhooks",
        ],
    ),
    ("check", &["api", "attachments", "config", "files", "moderation", "open_files", "recording", "sfu", "store"]),
    ("import", &["config", "domain", "store"]),
    ("doctor", &[]),
    ("figures", &["metrics", "sfu"]),
    ("open_files", &["config", "sfu"]),
    ("secret", &["config"]),
    (
        "api",
        &[
            "attachments",
            "auth",
            "chat",
            "clusters",
            "config",
            "domain",
            "hub",
            "limit",
            "matching",
            "metrics",
            "moderation",
            "nodes",
            "presence",
            "previews",
            "proto",
            "recording",
            "rooms",
            "webhooks",
        ],
    ),
    (
        "config",
        &[
            "auth",
            "clusters",
            "domain",
            "files",
            "hub",
            "limit",
            "matching",
            "moderation",
            "nodes",
            "previews",
            "recording",
            "rooms",
            "sfu",
            "store",
            "webhooks",
        ],
    ),
    ("moderation", &["auth", "domain", "files", "limit", "matching", "metrics", "rooms", "sfu", "store"]),
    ("matching", &["bus", "domain", "limit", "metrics", "rooms", "store"]),
    ("nodes", &["bus", "domain", "hub", "limit", "metrics", "presence", "rooms", "store"]),
    ("recording", &["bus", "domain", "files", "limit", "metrics", "rooms", "sfu", "store"]),
    ("webhooks", &["bus", "domain", "metrics", "previews", "rooms", "store"]),
    ("attachments", &["bus", "domain", "files", "limit", "metrics", "store"]),
    ("previews", &["domain", "limit", "metrics"]),
    ("chat", &["bus", "domain", "limit", "presence", "store"]),
    ("rooms", &["bus", "clusters", "domain", "limit", "metrics", "sfu", "store"]),
    ("presence", &["bus", "domain", "limit", "store"]),
    ("auth", &["clusters", "domain", "limit", "store"]),
    ("hub", &["bus", "domain", "metrics", "proto"]),
    ("files", &["domain"]),
    ("sfu", &["domain"]),
    ("bus", &["domain", "metrics"]),
    ("store", &["domain", "metrics"]),
    ("proto", &["domain"]),
    ("limit", &["domain"]),
    ("metrics", &[]),
    ("clusters", &["domain"]),
    ("domain", &[]),
];

/// The layers, top first. An import goes to a lower layer.
const LAYERS: &[&[&str]] = &[
    &["main"],
    &["lib"],
    &["check", "doctor", "import"],
    &["api", "figures", "open_files", "secret"],
    &["config"],
    &["moderation"],
    &["matching", "nodes", "recording", "webhooks"],
    &["attachments", "previews", "chat", "rooms", "auth", "hub"],
    &["presence"],
    &["store", "bus", "files", "sfu"],
    &["proto", "limit", "metrics", "clusters"],
    &["domain"],
];

/// Imports within a layer that are meant.
const SIDEWAYS: &[(&str, &str)] = &[];

/// Other crates that only certain modules may name. The absences that the house rests on.
const KEPT_BY: &[(&str, &[&str])] = &[
    ("axum", &["api"]),
    ("hyper", &["api"]),
    ("tower_http", &["api"]),
    ("object_store", &["files"]),
    ("image", &["attachments", "moderation"]),
    ("infer", &["attachments"]),
    ("multer", &["api"]),
    ("openh264", &["moderation"]),
    ("ort", &["moderation"]),
    ("redis", &["bus"]),
    ("sqlx", &["store"]),
    ("parlor_media", &["sfu"]),
    ("parlor_turn", &["api", "check", "config", "doctor", "figures", "lib"]),
    ("config", &["config"]),
];

/// Names that say nothing about what is inside.
const NO_NAMES: &[&str] = &["common", "helpers", "manager", "misc", "state", "utils"];

/// Lines a source file may have.
const MAX_LINES: usize = 500;

/// Longer files, each with its reason.
const LONGER: &[(&str, usize, &str)] = &[];

#[test]
fn tidy_modules_import_what_the_graph_says() {
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in sources(&root().join("src")) {
        let module = module_of(&path);
        let imports = seen.entry(module.clone()).or_default();
        imports.extend(crate_paths(&code_of(&text)).into_iter().filter(|to| *to != module));
    }
    let mut wrong = Vec::new();
    for (module, imports) in &seen {
        let Some((_, listed)) = GRAPH.iter().find(|(name, _)| name == module) else {
            wrong.push(format!("{module} is not in the graph"));
            continue;
        };
        for to in imports.iter().filter(|to| !listed.contains(&to.as_str())) {
            wrong.push(format!("{module} imports {to}, which the graph does not list"));
        }
        for to in listed.iter().filter(|to| !imports.contains(**to)) {
            wrong.push(format!("{module} does not import {to}, though the graph says so"));
        }
    }
    wrong.extend(GRAPH.iter().filter(|(m, _)| !seen.contains_key(*m)).map(|(m, _)| format!("{m} does not exist")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tidy_arrows_point_down() {
    let layer = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    for (from, list) in GRAPH {
        assert!(layer(from).is_some(), "{from} is in no layer");
        for to in *list {
            let down = layer(from) < layer(to) || SIDEWAYS.contains(&(from, to));
            assert!(down, "{from} imports {to}, which is not below it");
        }
    }
}

#[test]
fn tidy_some_crates_have_one_home() {
    for (path, text) in sources(&root().join("src")) {
        let (module, code) = (module_of(&path), code_of(&text));
        for (name, homes) in KEPT_BY {
            let named = code.match_indices(&format!("{name}::")).any(|(at, _)| !is_continued(&code[..at]));
            let own_module = module != *name && crate_paths(&code).contains(*name);
            let at_home = homes.contains(&module.as_str());
            assert!(at_home || !named || own_module, "{} names the crate {name}; only {homes:?} may", path.display());
        }
    }
}

#[test]
fn tidy_names_say_something() {
    for (path, _) in all_sources() {
        let stem = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        let folder = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        for name in [Some(stem), folder].into_iter().flatten() {
            assert!(!NO_NAMES.contains(&name.as_str()), "{} has a name that says nothing", path.display());
        }
    }
}

#[test]
fn tidy_files_are_short() {
    for (path, text) in all_sources() {
        let name = path.strip_prefix(root()).expect("it is under the root").to_string_lossy().into_owned();
        let exception = LONGER.iter().find(|(file, ..)| *file == name);
        let limit = exception.map_or(MAX_LINES, |(_, lines, _)| *lines);
        let lines = text.lines().count();
        assert!(lines <= limit, "{name} has {lines} lines; more than {limit} want another file");
        let needed = exception.is_none() || lines > MAX_LINES;
        assert!(needed, "{name} has {lines} lines and needs no exception any more");
    }
}

#[test]
fn tidy_lints_are_expected_not_allowed() {
    for (path, text) in all_sources() {
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_start();
            let allowed = line.starts_with("#[allow") || line.starts_with("#![allow");
            assert!(!allowed, "{}:{}: use #[expect(…, reason = …)]", path.display(), number + 1);
        }
    }
}

/// Packages come through their ordinary clients; a mirror's address in the tree would break the build for everyone else.
#[test]
fn tidy_lock_files_name_no_other_registry() {
    let cargo = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for line in cargo.lines().filter(|line| line.starts_with("source = ")) {
        assert!(line.starts_with("source = \"registry+"), "Cargo.lock names a source that is no registry: {line}");
    }
    for lock in ["web/package-lock.json", "models/parity/package-lock.json"] {
        let npm = fs::read_to_string(root().join(lock)).unwrap();
        for line in npm.lines().filter(|line| line.trim_start().starts_with("\"resolved\":")) {
            assert!(!line.contains("://"), "{lock} names a host: {line}");
        }
    }
}

#[test]
fn tidy_licences_are_permissive() {
    let deny: toml::Table = fs::read_to_string(root().join("deny.toml")).unwrap().parse().unwrap();
    let allowed: BTreeSet<_> =
        deny["licenses"]["allow"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .other_options([
            "--offline".into(),
            "--locked".into(),
            "--filter-platform".into(),
            "x86_64-unknown-linux-gnu".into(),
        ])
        .exec()
        .unwrap();
    let used: BTreeSet<_> = metadata.resolve.unwrap().nodes.into_iter().map(|node| node.id).collect();
    // A file-level copyleft, taken for WebAuthn alone and by name.
    let by_name: Vec<_> = deny["licenses"]["exceptions"].as_array().unwrap().iter().collect();
    let is_excepted =
        |name: &str, licence: &str| by_name.iter().any(|it| it["crate"].as_str() == Some(name) && licence == "MPL-2.0");
    for package in metadata.packages.iter().filter(|package| used.contains(&package.id)) {
        let licence = package.license.as_deref().unwrap_or("");
        let fits = permits(licence, &allowed) || is_excepted(&package.name, licence);
        assert!(fits, "{} {} is under {licence:?}", package.name, package.version);
    }
}

/// Does a licence expression (SPDX: `A OR B`, `A AND B`, `A/B`, brackets around alternatives) leave a permitted choice?
fn permits(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let flat = expression.replace(['(', ')'], " ").replace('/', " OR ");
    // Every AND part must leave a choice; with the brackets gone, this asks for at least as much as the expression does.
    let choice = |part: &str| part.split(" OR ").any(|licence| allowed.contains(licence.trim()));
    flat.split(" AND ").all(choice)
}

#[test]
fn tidy_settings_are_documented() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for (path, text) in sources(&root().join("src")) {
        // What tests misspell on purpose is no setting.
        if path.file_name().is_some_and(|name| name == "tests.rs") {
            continue;
        }
        for name in settings_in(&code_of(&text)) {
            assert!(readme.contains(&name), "{} names {name}, which README.md does not explain", path.display());
        }
    }
    // The other way round: what README.md explains is a field of the configuration.
    let config = fs::read_to_string(root().join("src/config.rs")).unwrap();
    for name in settings_in(&readme) {
        let key = name.trim_start_matches("PARLOR_").to_lowercase();
        let first = key.split("__").next().unwrap_or_default();
        let known = first == "config" || config.contains(&format!("pub {first}:"));
        assert!(known, "README.md explains {name}, which is no setting");
    }
}

fn settings_in(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices("PARLOR_").map(|(at, _)| &text[at..]);
    let name =
        |rest: &str| rest.chars().take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_').collect();
    starts.map(name).map(|name: String| name.trim_end_matches('_').to_owned()).filter(|name| name != "PARLOR").collect()
}

#[test]
fn tidy_migrations_are_numbered_and_the_same_on_both_databases() {
    let names = |folder: &str| -> Vec<String> {
        let Ok(entries) = fs::read_dir(root().join(folder)) else { return Vec::new() };
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| Path::new(name).extension().is_some_and(|ending| ending == "sql"))
            .collect();
        names.sort();
        names
    };
    let (sqlite, postgres) = (names("migrations/sqlite"), names("migrations/postgres"));
    assert_eq!(sqlite, postgres, "each database has the same migrations");
    // What the two databases cannot share has a number of its own among the others.
    let mut all: Vec<_> = sqlite.into_iter().chain(names("migrations")).collect();
    all.sort();
    let number = |name: &String| -> usize {
        name.split('_').next().unwrap().parse().expect("a migration begins with its number")
    };
    let numbers: Vec<_> = all.iter().map(number).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "two migrations have one number: {all:?}");
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of the workspace that is ours.
fn all_sources() -> Vec<(PathBuf, String)> {
    let folders = ["src", "tests", "media/src", "media/tests", "turn/src", "turn/tests", "benches"];
    folders.iter().flat_map(|folder| sources(&root().join(folder))).collect()
}

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// The top module that a file of `src` belongs to.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).expect("it is under src");
    let first = inside.components().next().expect("it has a name").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// A file without its comments, its strings' contents left as they are, and without its unit tests, which stand at the end (a test
/// module that has a file of its own is only named, anywhere).
fn code_of(text: &str) -> String {
    let mut tests = text.match_indices("#[cfg(test)]\nmod ");
    let own = tests.find(|(at, head)| text[at + head.len()..].lines().next().is_some_and(|rest| rest.ends_with('{')));
    let shipped = own.map_or(text, |(at, _)| &text[..at]);
    shipped.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The modules named as `crate::x`, `crate::{x::…, y}` or `parlor::x` (the binary's way), wherever they stand.
fn crate_paths(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let heads = ["crate::", "parlor::"];
    for (at, head) in heads.iter().flat_map(|head| code.match_indices(head)) {
        let named_otherwise =
            code[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$');
        if named_otherwise {
            continue;
        }
        let rest = &code[at + head.len()..];
        if head == "parlor::" {
            found.insert("lib".to_owned());
        } else if let Some(group) = rest.strip_prefix('{') {
            found.extend(first_names(group));
        } else {
            found.extend(first_word(rest));
        }
    }
    found.extend(declared(code));
    found
}

/// Does a name that follows this text go on with a word or a path (`my_crate::`, `parlor::config::`)?
fn is_continued(before: &str) -> bool {
    before.chars().next_back().is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '$'))
}

/// `lib.rs` names its modules without `crate::`.
fn declared(code: &str) -> impl Iterator<Item = String> + '_ {
    let modules: BTreeSet<_> = code
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("mod ")))
        .filter_map(|rest| rest.strip_suffix(';'))
        .collect();
    let used = words(code).filter(|(_, next)| next.starts_with("::")).map(|(word, _)| word);
    let is_lib = code.contains("pub async fn serve");
    used.filter(move |word| is_lib && modules.contains(word)).map(str::to_owned)
}

/// The first names inside `{…}`, one level deep.
fn first_names(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut names) = (1, true, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => start = true,
            c if start && !c.is_whitespace() => {
                names.extend(first_word(&group[at..]));
                start = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let is_module = word.chars().next().is_some_and(char::is_lowercase);
    is_module.then_some(word)
}

/// Each word, with what follows it.
fn words(code: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut rest = code;
    std::iter::from_fn(move || {
        let start = rest.find(is_word)?;
        let tail = &rest[start..];
        let end = tail.find(|c| !is_word(c)).unwrap_or(tail.len());
        let (word, next) = tail.split_at(end);
        rest = next;
        Some((word, next))
    })
}

#[test]
fn tidy_reads_imports_as_rust_does() {
    let code =
        "use crate::domain::{Room, User};\nuse crate::{hub, store::{Store, x}, Thing};\nlet a = crate::limit::A;";
    assert_eq!(crate_paths(code), ["domain", "hub", "limit", "store"].map(str::to_owned).into());
    let allowed = BTreeSet::from(["MIT", "ISC"]);
    assert!(permits("MIT OR GPL-3.0", &allowed) && permits("(MIT OR X) AND ISC", &allowed));
    assert!(!permits("GPL-3.0", &allowed) && !permits("MIT AND GPL-3.0", &allowed) && !permits("", &allowed));
}
