//! A PostgreSQL of this test run alone: made when the first test asks, gone when the process is, however it ends.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, Executor as _, PgConnection};

/// Starting takes a second or two; a machine that is busy with other tests gets a minute.
const PATIENCE: Duration = Duration::from_secs(60);

struct Postgres {
    folder: PathBuf,
    /// The shell that watches over the server: it ends the server when our end of its standard input closes, and that closes
    /// when this process ends. A line on it starts the server anew.
    watch: Child,
}

/// A PostgreSQL of one test, that may break.
pub(crate) struct Own(Postgres);

/// Starts a PostgreSQL for one test.
pub(crate) async fn own() -> Own {
    Own(tokio::task::spawn_blocking(start).await.expect("PostgreSQL starts"))
}

impl Own {
    /// The address of its one database.
    pub(crate) fn url(&self) -> String {
        self.0.url("postgres")
    }

    /// Ends the server as a crash does, and starts it again.
    pub(crate) async fn restart(mut self) -> Self {
        let restart = move || {
            let before = self.0.process();
            writeln!(self.0.watch.stdin.as_mut().expect("it is piped"), "again").expect("the shell listens");
            let deadline = Instant::now() + PATIENCE;
            while self.0.process().is_none() || self.0.process() == before {
                assert!(Instant::now() < deadline, "PostgreSQL does not come back");
                std::thread::sleep(Duration::from_millis(10));
            }
            wait_until_ready(&programs(), &self.0.folder);
            self
        };
        tokio::task::spawn_blocking(restart).await.expect("PostgreSQL starts again")
    }
}

/// The address of a new, empty database.
pub(crate) async fn database() -> String {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let server = tokio::task::spawn_blocking(|| SERVER.get_or_init(start)).await.expect("PostgreSQL starts");
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut connection = PgConnection::connect(&server.url("postgres")).await.expect("PostgreSQL takes connections");
    let create = sqlx::AssertSqlSafe(format!("create database {name}"));
    connection.execute(create).await.expect("PostgreSQL makes databases");
    connection.close().await.expect("PostgreSQL closes connections");
    server.url(&name)
}

/// The socket of the server that such an address is of, for a test that stands in between.
pub(crate) fn socket_of(url: &str) -> PathBuf {
    let folder = url.split("host=").nth(1).and_then(|rest| rest.split('&').next()).expect("the address names a folder");
    Path::new(folder).join(".s.PGSQL.5432")
}

impl Postgres {
    fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&user=parlor", self.folder.display())
    }

    /// The number of its process, while there is one.
    fn process(&self) -> Option<String> {
        let file = fs::read_to_string(self.folder.join("data/postmaster.pid")).ok()?;
        file.lines().next().map(str::to_owned)
    }
}

fn start() -> Postgres {
    let programs = programs();
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("parlor-pg-{}-{number}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).expect("a folder for PostgreSQL");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("a folder of our own");
    let owner = owner(&folder);
    let data = folder.join("data");
    let mut init = Command::new(programs.join("initdb"));
    init.args(["--auth=trust", "--username=parlor", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"]).arg(&data);
    let made = as_owner(&mut init, owner).output().expect("initdb runs");
    assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
    // Only a socket in the folder, no port to fight over. The shell outlives us by a moment and cleans up.
    let script = r#"
        begin() {
            "$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c max_connections=400 >>"$2/log" 2>&1 &
            server=$!
        }
        begin "$1" "$2"
        while read -r _; do
            kill -QUIT $server
            wait $server
            begin "$1" "$2"
        done
        kill -QUIT $server
        wait $server
        rm -rf "$2"
    "#;
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(&programs).arg(&folder);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // A signal to the group of the tests (Ctrl-C) is not to end the shell before it has cleaned up.
    let watch = as_owner(&mut shell, owner).process_group(0).spawn().expect("a shell for PostgreSQL");
    wait_until_ready(&programs, &folder);
    Postgres { folder, watch }
}

fn wait_until_ready(programs: &Path, folder: &Path) {
    let deadline = Instant::now() + PATIENCE;
    let ready = || {
        let mut ask = Command::new(programs.join("pg_isready"));
        ask.arg("-q").arg("-h").arg(folder).status().is_ok_and(|status| status.success())
    };
    while !ready() {
        let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(Instant::now() < deadline, "PostgreSQL does not answer: {}", log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The folder of the newest PostgreSQL's programs.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.map(|entry| entry.path()).filter(|path| number(path).is_some()).max_by_key(number);
    let programs = newest.map(|path| path.join("bin")).filter(|path| path.join("initdb").exists());
    programs.expect("PostgreSQL is missing: the store's tests need it (Debian: apt install postgresql)")
}

/// PostgreSQL refuses to run as root: then the folder goes to another user, who runs it.
fn owner(folder: &Path) -> Option<(u32, u32)> {
    let ours = fs::metadata("/proc/self").expect("Linux tells who we are");
    if std::os::unix::fs::MetadataExt::uid(&ours) != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("the list of users");
    let ids = |name: &str| {
        let mut fields = users.lines().find_map(|line| line.strip_prefix(&format!("{name}:")))?.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let (user, group) = ids("postgres").or_else(|| ids("nobody")).expect("a user who is not root");
    chown(folder, Some(user), Some(group)).expect("root may give folders away");
    Some((user, group))
}

fn as_owner(command: &mut Command, owner: Option<(u32, u32)>) -> &mut Command {
    match owner {
        Some((user, group)) => command.gid(group).uid(user).current_dir("/"),
        None => command,
    }
}
