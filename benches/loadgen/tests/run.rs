//! `parlor-loadgen run` as people use it: each scenario, small and short, against a server of the test.

#![expect(clippy::unwrap_used, reason = "all of it is a test, helpers as well")]

use std::net::IpAddr;
use std::process::{Command, Output};

use parlor::config::Config;
use serde_json::Value;

/// A server in this process. It goes with its folder when it is dropped.
struct Server {
    // Dropped first.
    _running: parlor::Running,
    _folder: tempfile::TempDir,
    url: String,
}

impl Server {
    async fn start() -> Self {
        tokio_rustls::rustls::crypto::ring::default_provider().install_default().ok();
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            data_dir: folder.path().join("data"),
            web_dir: folder.path().join("web"),
            media_port: 0,
            announced_address: vec![IpAddr::from([127, 0, 0, 1])],
            limit_exempt: vec!["127.0.0.0/8".parse().unwrap()],
            // Nobody looks at pictures that are none.
            sample_every_ms: 0,
            ..Config::default()
        };
        config.sfu.shards = 1;
        config.turn.stun_listen = None;
        let running = parlor::serve(config).await.unwrap();
        let url = format!("http://{}", running.address);
        Self { _running: running, _folder: folder, url }
    }

    /// Runs a scenario against it; what the program printed, and the progress.
    async fn play(&self, scenario: &str, more: &[&str]) -> (Value, String) {
        let url = self.url.clone();
        let mut arguments =
            vec!["run".to_owned(), scenario.to_owned(), format!("--server={url}"), "--progress=1".into()];
        arguments.push(format!("--pid={}", std::process::id()));
        arguments.extend(more.iter().map(|it| (*it).to_owned()));
        let output = tokio::task::spawn_blocking(move || loadgen(&arguments)).await.unwrap();
        let (out, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{told}");
        (serde_json::from_str(&out).unwrap(), told.into_owned())
    }
}

fn loadgen<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_parlor-loadgen")).args(arguments).output().unwrap()
}

/// What any good run says.
fn is_whole(result: &Value, people: u64) {
    assert_eq!(result["failures"], Value::Array(Vec::new()), "{result:#}");
    assert!(result["joins"]["done"].as_u64().unwrap() >= people, "{result:#}");
    assert_eq!(result["joins"]["done"], result["joins"]["left"], "everybody left as they should: {result:#}");
    let packets = &result["packets"];
    for key in ["sent", "received", "expected", "opened"] {
        assert!(packets[key].as_u64().unwrap() > 0, "{key}: {result:#}");
    }
    assert_eq!(packets["forged"], 0, "{result:#}");
    // A packet that was missing when the window opened may come in it.
    assert!(packets["received"].as_f64() < packets["expected"].as_f64().map(|expected| expected * 1.1), "{result:#}");
    let latency = |key: &str| result["latencyUs"][key].as_f64().unwrap();
    assert!(latency("p50") > 0.0 && latency("p50") <= latency("p99") && latency("p99") <= latency("max"), "{result:#}");
    // The process is that of all tests: threads of another one's server may end meanwhile, and take their time with them.
    assert!(result["server"]["cpuUsPerPacket"].as_f64().unwrap() >= 0.0, "{result:#}");
    assert!(result["server"]["memoryKb"].as_f64().unwrap() > 1000.0, "{result:#}");
    assert!(result["firstPacketUs"]["count"].as_u64().unwrap() > 0, "{result:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_of_real_and_cheap_people() {
    let server = Server::start().await;
    let (result, told) = server.play("meeting-50", &["--participants=5", "--real=2", "--duration=3"]).await;
    is_whole(&result, 5);
    assert_eq!(result["people"]["real"], 2);
    assert_eq!(result["firstPacketUs"]["count"], 5, "{result:#}");
    // Three layers of 30, 60 and 140 packets, and speech or silence: more than one layer of each comes.
    let sent = result["packets"]["sentPerS"].as_f64().unwrap();
    assert!((400.0..1600.0).contains(&sent), "{result:#}");
    assert!(result["packets"]["lossPercent"].as_f64().unwrap() < 20.0, "{result:#}");
    assert!(told.lines().any(|line| line.contains("packets/s sent")), "progress is told: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast() {
    let server = Server::start().await;
    let (result, _) = server.play("broadcast-4", &["--real=1", "--duration=3"]).await;
    is_whole(&result, 5);
    // The one who sends is a real peer: its camera of 187 packets a second reaches the four others.
    let received = result["packets"]["receivedPerS"].as_f64().unwrap();
    assert!((400.0..900.0).contains(&received), "{result:#}");
    assert_eq!(result["firstPacketUs"]["count"], 4, "{result:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_of_voices() {
    let server = Server::start().await;
    let (result, _) = server.play("audio-room", &["--participants=5", "--real=1", "--duration=3", "--seed=7"]).await;
    is_whole(&result, 5);
    // Fifty packets a second is one who speaks all the time.
    assert!(result["packets"]["sentPerS"].as_f64().unwrap() < 250.0, "somebody is silent: {result:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_come_and_go() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("small-churn.toml");
    let text = "about = 'come and go'\nduration_s = 3\n[people]\nreal = 1\ncheap = 2\n\
                [microphone]\n[watch]\naudio_slots = 4\nvideo_slots = 0\nopen_percent = 50\n\
                [churn]\njoins_per_s = 3.0\nstay_s = 0.5\npublish = true\n";
    std::fs::write(&file, text).unwrap();
    let (result, _) = server.play(&file.display().to_string(), &[]).await;
    is_whole(&result, 8);
    assert_eq!(result["scenario"], file.display().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_lose() {
    let server = Server::start().await;
    let (result, _) = server.play("lossy", &["--participants=4", "--real=1", "--duration=4"]).await;
    is_whole(&result, 4);
    let packets = &result["packets"];
    assert!(packets["askedAgain"].as_u64().unwrap() > 0, "{result:#}");
    assert!(packets["recovered"].as_u64().unwrap() > 0, "{result:#}");
    // 50 ms from the one who sends to the server, 50 ms on.
    let p50 = result["latencyUs"]["p50"].as_f64().unwrap();
    assert!((100_000.0..1_000_000.0).contains(&p50), "{result:#}");
}

#[test]
fn what_is_wrong_is_said_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    std::fs::write(&file, "about = 'x'\n[people]\ncheap = 2\n[road]\nloss_percent = 99\n").unwrap();
    let file = file.display().to_string();
    let cases: [(&[&str], &str); 6] = [
        (&["run", "no-such"], "no scenario of that name"),
        (&["run", &file], "road.loss_percent: 99 does not lie between 0 and 50"),
        (&["run", "churn", "--server=127.0.0.1:1"], "is no URL"),
        (&["run", "churn", "--server=http://127.0.0.1:1"], "nobody answers at http://127.0.0.1:1"),
        (&["run", "churn", "--participants=2", "--real=3"], "--real: 3 is more than the 2 people"),
        (&["run", "churn", "--binary=/no/such"], "there is no server at /no/such"),
    ];
    for (arguments, wanted) in cases {
        let output = loadgen(arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains(wanted), "{arguments:?}: {told}");
        assert!(output.stdout.is_empty(), "no result: {arguments:?}");
    }
    let listed = String::from_utf8_lossy(&loadgen(&["scenarios"]).stdout).into_owned();
    for name in ["meeting-50", "broadcast-N", "audio-room", "churn", "lossy"] {
        assert!(listed.lines().any(|line| line.starts_with(name)), "{listed}");
    }
}
