//! A Redis of one test alone: it is there until it is dropped, and it ends with this process, however that ends.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A Redis (or Valkey) on a free port.
pub(crate) struct Redis {
    port: u16,
    server: Pid,
    /// The shell that watches over it: it ends the server when our end of its standard input closes.
    watch: Child,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        let port = free_port();
        tokio::task::spawn_blocking(move || Self::start_on(port)).await.expect("Redis starts")
    }

    fn start_on(port: u16) -> Self {
        let script = r#"
            "$1" --port "$2" --bind 127.0.0.1 --save "" --appendonly no --daemonize no --loglevel warning >/dev/null 2>&1 &
            server=$!
            echo $server
            read -r _
            kill -CONT $server
            kill -KILL $server
            wait $server
        "#;
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "sh", &program(), &port.to_string()]);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // A signal to the group of the tests (Ctrl-C) is not to end the shell before it has cleaned up.
        let mut watch = shell.process_group(0).spawn().expect("a shell for Redis");
        let mut line = String::new();
        BufReader::new(watch.stdout.take().expect("it is piped"))
            .read_line(&mut line)
            .expect("the shell says a number");
        let server = Pid::from_raw(line.trim().parse().expect("it is a process")).expect("it is no group");
        Self { port, server, watch }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// It is there, and does nothing.
    pub(crate) fn pause(&self) {
        kill_process(self.server, Signal::STOP).expect("Redis can be stopped");
    }

    pub(crate) fn go_on(&self) {
        kill_process(self.server, Signal::CONT).expect("Redis can go on");
    }

    /// It is gone, with all connections.
    pub(crate) fn kill(&mut self) {
        drop(self.watch.stdin.take());
        self.watch.wait().expect("the shell ends");
    }

    /// Another one on the same port.
    pub(crate) fn start_again(&mut self) {
        *self = Self::start_on(self.port);
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.watch.stdin.take());
        // The shell has nothing left to do but to end.
        let _ = self.watch.wait();
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it has one").port()
}

fn program() -> String {
    let folders = ["/usr/bin", "/usr/sbin", "/usr/local/bin"];
    let found = ["redis-server", "valkey-server"]
        .iter()
        .flat_map(|name| folders.map(|folder| format!("{folder}/{name}")))
        .find(|path| std::path::Path::new(path).exists());
    found.expect("Redis is missing: the tests of several nodes need it (Debian: apt install redis-server)")
}
