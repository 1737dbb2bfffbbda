//! What `/metrics` tells of a call. In a process of its own: all servers of one process count into the same figures.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Person, until};
use crate::peer::{Caller, meet};

/// A figure of the server there, by its name and labels.
pub(crate) async fn figure(base: &str, name: &str) -> Option<f64> {
    let text = reqwest::get(format!("{base}/metrics")).await.ok()?.text().await.ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// The program, until it is dropped.
struct Program {
    child: Child,
    base: String,
    _folder: TempDir,
}

impl Program {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_parlor"))
            .current_dir(folder.path())
            .env_clear()
            .envs([("PARLOR_LISTEN", "127.0.0.1:0"), ("PARLOR_MEDIA_PORT", "0"), ("PARLOR_TURN__STUN_LISTEN", "off")])
            .envs([("PARLOR_ANNOUNCED_ADDRESS", "127.0.0.1"), ("PARLOR_SFU__SHARDS", "2"), ("PARLOR_LOG", "warn")])
            .arg("serve")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let base = line.trim_end().strip_prefix("Parlor is at ").unwrap().replace("localhost", "127.0.0.1");
        Self { child, base, _folder: folder }
    }

    /// Waits until all these figures have at least these values; what they have.
    async fn tells(&self, least: &[(&str, f64)]) -> Vec<f64> {
        let what = format!("{least:?}");
        let read = async || {
            let mut values = Vec::new();
            for (name, least) in least {
                values.push(figure(&self.base, name).await.filter(|value| value >= least)?);
            }
            Some(values)
        };
        until(&what, read).await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Ended already, or ended now.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_tell_of_a_call() {
    let program = Program::start();
    let (olga, ada) = (Person::enter(&program.base, "olga").await, Person::enter(&program.base, "ada").await);
    let room = olga.create_room("call", "public").await;
    let mut olga = Caller::join(&olga, &room, 1, 1).await;
    let mut ada = Caller::join(&ada, &room, 2, 1).await;
    meet(&olga, &ada).await;
    let people = [
        ("parlor_sockets", 2.0),
        ("parlor_rooms", 1.0),
        ("parlor_seats", 2.0),
        ("parlor_participants", 2.0),
        ("parlor_tracks{layer=\"audio\"}", 2.0),
        ("parlor_tracks{layer=\"one\"}", 2.0),
        ("parlor_tracks{layer=\"two\"}", 0.0),
        ("parlor_tracks{layer=\"three\"}", 0.0),
    ];
    assert_eq!(program.tells(&people).await, people.map(|(_, value)| value));
    let media = [
        "parlor_media_packets_total{direction=\"in\"}",
        "parlor_media_packets_total{direction=\"out\"}",
        "parlor_media_bytes_total{direction=\"in\"}",
        "parlor_media_bytes_total{direction=\"out\"}",
    ];
    let before = program.tells(&media.map(|name| (name, 1.0))).await;
    let shards = ["parlor_shard_lag_seconds{shard=\"0\"}", "parlor_shard_lag_seconds{shard=\"1\"}"];
    program.tells(&shards.map(|name| (name, 0.0))).await;
    program.tells(&[("parlor_media_plis_total{direction=\"out\"}", 2.0)]).await;
    let more: Vec<_> = media.into_iter().zip(before.iter().map(|value| value + 1.0)).collect();
    program.tells(&more).await;

    olga.done("call.leave", json!({})).await;
    ada.done("leave_room", json!({})).await;
    let gone = ["parlor_participants", "parlor_tracks{layer=\"audio\"}", "parlor_tracks{layer=\"one\"}"];
    let none = async || {
        let values = program.tells(&gone.map(|name| (name, 0.0))).await;
        (values == [0.0; 3]).then_some(())
    };
    until("nobody is in the call", none).await;
    assert_eq!(figure(&program.base, "parlor_seats").await, Some(1.0));
}
