//! The image and the composition name settings, ports and paths of this program: they are held to it here, because no test starts them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use serde::Deserialize;

use super::*;

const DOCKERFILE: &str = include_str!("../../../Dockerfile");
const COMPOSE: &str = include_str!("../../../docker-compose.yml");

/// An instruction and what follows it, continued lines joined.
fn instructions() -> Vec<(String, String)> {
    let code = DOCKERFILE.lines().filter(|line| !line.trim_start().starts_with('#'));
    let joined = code.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let split = |line: &str| line.trim().split_once(' ').map(|(word, rest)| (word.to_owned(), rest.trim().to_owned()));
    joined.lines().filter_map(split).collect()
}

fn of<'a>(instructions: &'a [(String, String)], word: &str) -> Vec<&'a str> {
    instructions.iter().filter(|(found, _)| found == word).map(|(_, rest)| rest.as_str()).collect()
}

/// The settings of the image.
fn environment() -> Vec<(String, String)> {
    let instructions = instructions();
    let pairs = of(&instructions, "ENV").into_iter().flat_map(str::split_whitespace);
    pairs.map(|pair| pair.split_once('=').expect("a name and a value")).map(|(k, v)| (k.into(), v.into())).collect()
}

fn config_of(environment: &[(String, String)]) -> Config {
    let pairs: Vec<_> = environment.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let loaded = read(&pairs, None).unwrap();
    assert_eq!(loaded.unknown, [""; 0], "no such settings");
    loaded.config
}

#[derive(Deserialize)]
struct Compose {
    services: BTreeMap<String, Service>,
    volumes: BTreeMap<String, Option<String>>,
    configs: BTreeMap<String, Content>,
}

#[derive(Deserialize)]
struct Content {
    content: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Service {
    build: Option<String>,
    profiles: Vec<String>,
    ports: Vec<String>,
    volumes: Vec<String>,
    environment: BTreeMap<String, String>,
}

fn compose() -> Compose {
    serde_saphyr::from_str(COMPOSE).expect("docker-compose.yml is what Compose reads")
}

/// What the program listens on with these settings: number and protocol.
fn ports(config: &Config) -> Vec<String> {
    let stun = config.turn.stun_listen.as_ref().map(SocketAddr::port).expect("STUN is served");
    let media = config.media_port;
    let http = config.listen.port();
    let all = [(http, "tcp"), (media, "udp"), (media, "tcp"), (stun, "udp"), (stun, "tcp")];
    all.map(|(port, protocol)| format!("{port}/{protocol}")).to_vec()
}

#[test]
fn the_image_fits_the_program() {
    let (instructions, config) = (instructions(), config_of(&environment()));
    assert!(config.media_one_port, "one port for all cores, or more of them must be open");
    assert_eq!(of(&instructions, "EXPOSE"), [ports(&config).join(" ")]);
    assert_eq!(of(&instructions, "VOLUME"), [config.data_dir.to_str().unwrap()]);
    assert_eq!(of(&instructions, "USER"), ["parlor"], "nobody runs it as root");
    let health = of(&instructions, "HEALTHCHECK");
    assert!(health[0].ends_with(&format!(" http://127.0.0.1:{}/health", config.listen.port())), "{health:?}");
    // The page, and all that the classifier needs, where the settings say.
    let copied = of(&instructions, "COPY");
    let into = |folder: &Path| -> Vec<&str> {
        let folder = folder.to_str().unwrap();
        let lines = copied.iter().filter(|line| line.trim_end_matches('/').ends_with(folder));
        lines.flat_map(|line| line.split_whitespace()).collect()
    };
    assert!(into(&config.web_dir).contains(&"/parlor/web/app/dist"));
    let models = into(&config.models_dir);
    for file in ["manifest.toml", "mobilenet.onnx", "libonnxruntime.so"] {
        assert!(models.contains(&format!("/parlor/models/{file}").as_str()), "{file} is not in the image");
    }
    let manifest = include_str!("../../../models/manifest.toml");
    assert!(manifest.contains("mobilenet.onnx"), "the classifier has another name");
}

#[test]
fn what_the_image_copies_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let instructions = instructions();
    for line in of(&instructions, "COPY").into_iter().filter(|line| !line.starts_with("--from=")) {
        let from = line.split_whitespace().next().unwrap();
        assert!(root.join(from).exists(), "COPY {line}: no such thing");
    }
    // The tool chain is the one that the workspace asks for.
    let rust = env!("CARGO_PKG_RUST_VERSION");
    assert!(DOCKERFILE.contains(&format!("FROM rust:{rust}")), "the image builds with another Rust than {rust}");
}

#[test]
fn the_composition_fits_the_program() {
    let compose = compose();
    let parlor = &compose.services["parlor"];
    assert_eq!((parlor.build.as_deref(), parlor.profiles.len()), (Some("."), 0), "it runs alone, too");
    // Each setting is passed on under its own name, and nothing set is nothing at all.
    let mut environment = environment();
    for (name, value) in &parlor.environment {
        let inner = value.strip_prefix(&format!("${{{name}:-")).and_then(|rest| rest.strip_suffix('}'));
        let default = inner.unwrap_or_else(|| panic!("{name} is not passed on: {value}"));
        environment.push((name.clone(), default.to_owned()));
    }
    let config = config_of(&environment);
    assert_eq!((config.database_url.as_deref(), config.redis_url.as_deref()), (None, None), "SQLite alone");
    let published = ports(&config).into_iter().map(|port| {
        let number = port.split_once('/').expect("a number and a protocol").0.to_owned();
        format!("{number}:{port}")
    });
    assert_eq!(parlor.ports, published.collect::<Vec<_>>());
    assert_eq!(parlor.volumes, [format!("data:{}", config.data_dir.display())]);
    assert!(compose.volumes.contains_key("data"));

    let many: Vec<_> =
        compose.services.iter().filter(|(_, it)| it.profiles == ["many"]).map(|(name, _)| name).collect();
    assert_eq!(many, ["coturn", "postgres", "prometheus", "redis"]);
    let prometheus = &compose.configs["prometheus"].content;
    assert!(prometheus.contains("metrics_path: /metrics"));
    assert!(prometheus.contains(&format!("\"parlor:{}\"", config.listen.port())));
    // What the head of the file tells people to set are settings.
    let told = COMPOSE.lines().filter(|line| line.starts_with("#     ")).flat_map(str::split_whitespace);
    for (name, _) in told.filter_map(|word| word.split_once('=')).filter(|(name, _)| name.starts_with("PARLOR_")) {
        assert!(parlor.environment.contains_key(name), "{name} does not reach the program");
    }
}
