//! `parlor check`, and the program's command line.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use parlor::check::{Finding, findings};
use parlor::config::{Config, Tls};
use tempfile::TempDir;

use crate::clamd;
use crate::harness::settings;

/// A folder and settings with which nothing is wrong.
fn healthy() -> (TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    let config = settings(&folder);
    fs::create_dir_all(&config.web_dir).unwrap();
    fs::write(config.web_dir.join("index.html"), "page").unwrap();
    (folder, config)
}

async fn say(config: &Config) -> Vec<String> {
    findings(config).await.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_healthy_machine_has_no_findings() {
    let (_folder, config) = healthy();
    assert_eq!(findings(&config).await, []);
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let (_folder, mut config) = healthy();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    config.listen = taken.local_addr().unwrap();
    let port = config.listen.port();
    assert_eq!(
        say(&config).await,
        [format!("Port {port} is taken: stop the other program, or set PARLOR_LISTEN to another port.")]
    );
}

#[tokio::test]
async fn a_taken_media_port_is_named() {
    let (_folder, mut config) = healthy();
    for address in ["0.0.0.0:0", "[::1]:0"] {
        let taken = UdpSocket::bind(address).unwrap();
        config.media_port = taken.local_addr().unwrap().port();
        let port = config.media_port;
        assert_eq!(
            say(&config).await,
            [format!("UDP port {port} for media is taken: set PARLOR_MEDIA_PORT to the first of 1 free ports.")]
        );
    }
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_written_is_named() {
    let (folder, mut config) = healthy();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    config.data_dir = file.join("data");
    let said = say(&config).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("The data folder ") && said[0].ends_with("cannot be written: not a directory."),
        "{said:?}"
    );
}

#[tokio::test]
async fn what_composed_files_need_is_named() {
    let (_folder, mut config) = healthy();
    config.recording.ffmpeg = "/nowhere/ffmpeg".into();
    let said = say(&config).await;
    assert!(said.len() == 1 && said[0].starts_with("Hint: One file of all participants cannot be made"), "{said:?}");
    config.recording.enabled = false;
    assert_eq!(findings(&config).await, []);
}

#[tokio::test]
async fn a_secret_that_others_can_read_is_named() {
    let (_folder, config) = healthy();
    fs::create_dir_all(&config.data_dir).unwrap();
    fs::write(config.secret_file(), "secret").unwrap();
    fs::set_permissions(config.secret_file(), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(say(&config).await[0].starts_with("Others on this machine can read the secret "));
    fs::set_permissions(config.secret_file(), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(say(&config).await[0].contains("is shorter than 32 bytes"));
    fs::write(config.secret_file(), [7; 32]).unwrap();
    assert_eq!(findings(&config).await, []);
}

#[tokio::test]
async fn a_database_that_the_first_start_makes_is_not_missed() {
    let (folder, mut config) = healthy();
    config.database_url = Some(format!("sqlite:{}", folder.path().join("other.db").display()));
    assert_eq!(findings(&config).await, []);
    fs::write(folder.path().join("other.db"), "this is no database, but a text of some length").unwrap();
    assert!(say(&config).await[0].starts_with("The database (PARLOR_DATABASE_URL) cannot be reached: "));
}

#[tokio::test]
async fn a_scanner_that_does_not_answer_is_named() {
    let (_folder, mut config) = healthy();
    // A port that was free a moment ago, and that nobody listens on.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    config.files.clamd = Some(format!("127.0.0.1:{port}"));
    let said = say(&config).await;
    assert!(said.len() == 1 && said[0].ends_with("before it does: connection refused."), "{said:?}");
    clamd::serve(TcpListener::bind(("127.0.0.1", port)).unwrap());
    assert_eq!(findings(&config).await, []);
}

#[tokio::test]
async fn a_proxy_that_nobody_declared_is_a_hint() {
    let (_folder, mut config) = healthy();
    config.public_url = Some("https://parlor.example".into());
    assert!(matches!(&findings(&config).await[..], [Finding::Hint(hint)] if hint.contains("PARLOR_TRUSTED_PROXIES")));
    config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    assert_eq!(findings(&config).await, []);
}

#[tokio::test]
async fn a_database_out_of_reach_is_named() {
    let (_folder, mut config) = healthy();
    // A port that was free a moment ago, and that nobody listens on.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    config.database_url = Some(format!("postgres://parlor@127.0.0.1:{port}/parlor"));
    let said = say(&config).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("The database (PARLOR_DATABASE_URL) cannot be reached: "), "{said:?}");
    assert!(!said[0].contains("parlor@"), "an address may hold a password");
}

#[tokio::test]
async fn a_page_that_is_not_built_is_named() {
    let (_folder, config) = healthy();
    fs::remove_file(config.web_dir.join("index.html")).unwrap();
    assert!(say(&config).await[0].starts_with("The page is not built: "));
}

#[tokio::test]
async fn bad_certificates_are_named() {
    let (folder, mut config) = healthy();
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str, params: rcgen::CertificateParams| {
        let key = rcgen::KeyPair::generate().unwrap();
        fs::write(path(&format!("{name}.crt")), params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    };
    let params = || rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let mut old = params();
    old.not_after = rcgen::date_time_ymd(2020, 1, 1);
    write("old", old);
    write("one", params());
    write("two", params());
    fs::write(path("empty.crt"), "").unwrap();
    for (cert, key, sentence) in [
        ("old.crt", "old.key", "has expired"),
        ("one.crt", "two.key", "do not belong together"),
        ("empty.crt", "one.key", "holds no certificate in PEM form"),
        ("one.crt", "empty.crt", "holds no private key in PEM form"),
        ("missing.crt", "one.key", "cannot be read"),
    ] {
        (config.tls_cert, config.tls_key) = (Some(path(cert)), Some(path(key)));
        let said = say(&config).await;
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains(sentence), "{said:?}");
    }
    config.tls_key = None;
    assert_eq!(say(&config).await, ["PARLOR_TLS_CERT and PARLOR_TLS_KEY go together: one of them is not set."]);
    (config.tls_cert, config.tls_key) = (Some(path("one.crt")), Some(path("one.key")));
    assert_eq!(findings(&config).await, []);
}

#[tokio::test]
async fn an_address_without_cameras_is_named() {
    let (_folder, mut config) = healthy();
    config.listen = "0.0.0.0:0".parse().unwrap();
    let found = findings(&config).await;
    assert!(matches!(&found[..], [Finding::Hint(hint)] if hint.contains("this machine only")), "{found:?}");
    // An address of this machine that is not the loopback: the kernel picks it, nothing is sent.
    let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
    if probe.connect("192.0.2.1:9").is_ok() {
        config.listen.set_ip(probe.local_addr().unwrap().ip());
        let found = findings(&config).await;
        assert!(matches!(&found[..], [Finding::Wrong(wrong)] if wrong.contains("no secure context")), "{found:?}");
        config.tls = Tls::SelfSigned;
        assert_eq!(findings(&config).await, []);
    }
}

#[tokio::test]
async fn an_announced_address_elsewhere_is_a_hint() {
    let (_folder, mut config) = healthy();
    config.announced_address = vec!["192.0.2.1".parse().unwrap()];
    assert!(matches!(&findings(&config).await[..], [Finding::Hint(hint)] if hint.starts_with("192.0.2.1 ")));
}

#[tokio::test]
async fn turn_without_a_secret_is_named() {
    let (_folder, mut config) = healthy();
    config.turn.turn_urls = vec!["turn:turn.example".into()];
    assert!(say(&config).await[0].contains("turn_secret"));
}

/// The program itself, in a folder of its own.
fn parlor(folder: &TempDir, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlor"));
    command.current_dir(folder.path()).env_clear().args(arguments).envs(environment.iter().copied());
    command.output().expect("the program runs")
}

#[test]
fn the_command_line_checks_migrates_and_describes() {
    let folder = tempfile::tempdir().unwrap();
    let quiet = [
        ("PARLOR_LISTEN", "127.0.0.1:0"),
        ("PARLOR_MEDIA_PORT", "0"),
        ("PARLOR_TURN__STUN_LISTEN", "off"),
        ("PARLOR_WEB_DIR", "."),
        ("PARLOR_MODELS_DIR", concat!(env!("CARGO_MANIFEST_DIR"), "/models")),
        ("PARLOR_LISTN", "x"),
    ];
    fs::write(folder.path().join("index.html"), "page").unwrap();
    let checked = parlor(&folder, &["check"], &quiet);
    assert_eq!(String::from_utf8_lossy(&checked.stdout), "A setting called \"listn\" is not known.\n");
    assert_eq!(checked.status.code(), Some(1));
    let checked = parlor(&folder, &["check"], &quiet[..5]);
    assert_eq!(String::from_utf8_lossy(&checked.stdout), "Nothing is missing or wrong.\n");
    assert!(checked.status.success() && !folder.path().join("data").exists(), "a check changes nothing");
    let migrated = parlor(&folder, &["migrate"], &quiet[..5]);
    assert!(migrated.status.success() && folder.path().join("data/parlor.db").exists(), "{migrated:?}");
    let described = parlor(&folder, &["openapi"], &[]);
    assert!(serde_json::from_slice::<serde_json::Value>(&described.stdout).unwrap()["openapi"].is_string());
    let wrong = parlor(&folder, &["serve"], &[("PARLOR_LISTEN", "here")]);
    assert!(!wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("listen"), "{wrong:?}");
}
