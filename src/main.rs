//! The program: `parlor serve`, `parlor migrate`, `parlor check`, `parlor doctor`.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use parlor::check::Finding;
use parlor::config::{Config, Loaded};
use parlor::doctor::Trust;
use parlor::domain::RoomId;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tracing_subscriber::EnvFilter;

/// Rooms where people meet: calls, chat and moderation in one program.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// A TOML file with settings; PARLOR_* variables win over it.
    #[arg(long, global = true, env = "PARLOR_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the server until SIGTERM or SIGINT.
    Serve,
    /// Brings the database to this version's form, and ends. `serve` does it too.
    Migrate,
    /// Names what is missing or wrong, one sentence each; exit code 1 if anything is.
    Check,
    /// Tries from outside which ways to a server's media are open; exit code 1 if none is, 3 if some are not.
    Doctor {
        /// The page's address, such as https://parlor.example.org.
        url: String,
        /// Believe the server whatever its certificate is.
        #[arg(long)]
        insecure: bool,
        /// A PEM file: believe what these certificates have signed, too.
        #[arg(long, conflicts_with = "insecure")]
        ca: Option<PathBuf>,
    },
    /// Takes over people and chat logs of SafeStream. A line of JSON tells of each that is left out, and why; a second run changes nothing.
    Import {
        #[command(subcommand)]
        what: Import,
    },
    /// Prints the description of the REST interface (OpenAPI 3.1, JSON).
    #[command(hide = true)]
    Openapi,
}

/// What is taken over.
#[derive(Subcommand)]
enum Import {
    /// Accounts, with their passwords' hashes.
    Users {
        /// A `users.json`.
        file: PathBuf,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Chat logs, into one room.
    Messages {
        /// JSONL files, oldest first.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The room's id.
        #[arg(long)]
        room: RoomId,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

/// The exit code of `doctor` when some ways are open and others are not; 2 is what the parser of arguments says.
const SOME_CLOSED: u8 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("parlor: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Loaded { config, unknown } = Config::load(arguments.config.as_deref())?;
    match arguments.command {
        Command::Serve => {
            start_log(&config.log)?;
            for name in unknown {
                tracing::warn!(setting = name, "a setting with this name is not known; see the table in README.md");
            }
            serve(config).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Migrate => {
            start_log(&config.log)?;
            parlor::migrate(&config).await?;
            println!("The database is up to date.");
            Ok(ExitCode::SUCCESS)
        }
        Command::Check => {
            let mut findings: Vec<_> = unknown
                .iter()
                .map(|name| Finding::Wrong(format!("A setting called \"{name}\" is not known.")))
                .collect();
            findings.extend(parlor::check::findings(&config).await);
            for finding in &findings {
                println!("{finding}");
            }
            if findings.is_empty() {
                println!("Nothing is missing or wrong.");
            }
            let is_wrong = findings.iter().any(|finding| matches!(finding, Finding::Wrong(_)));
            Ok(if is_wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Command::Doctor { url, insecure, ca } => doctor(&url, &trust(insecure, ca.as_deref())?).await,
        Command::Import { what } => {
            start_log(&config.log)?;
            let out = &mut io::stdout().lock();
            match what {
                Import::Users { file, dry_run } => parlor::import::users(&config, &file, dry_run, out).await?,
                Import::Messages { files, room, dry_run } => {
                    parlor::import::messages(&config, room, &files, dry_run, out).await?
                }
            };
            Ok(ExitCode::SUCCESS)
        }
        Command::Openapi => {
            println!("{}", parlor::api::openapi());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Says which ways are open.
async fn doctor(url: &str, trust: &Trust) -> anyhow::Result<ExitCode> {
    let tried = parlor::doctor::examine(url, trust).await?;
    for one in &tried {
        println!("{one}");
    }
    let open = tried.iter().filter(|one| one.is_open()).count();
    if open == 0 {
        println!("Nothing reaches the server's media: calls do not work from here.");
    }
    Ok(match open {
        0 => ExitCode::FAILURE,
        open if open < tried.len() => ExitCode::from(SOME_CLOSED),
        _ => ExitCode::SUCCESS,
    })
}

/// Whose certificates `doctor` believes.
fn trust(insecure: bool, ca: Option<&Path>) -> anyhow::Result<Trust> {
    let Some(file) = ca else { return Ok(if insecure { Trust::Any } else { Trust::System }) };
    let pem = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
    anyhow::ensure!(!certificates.is_empty(), "{} has no certificate in PEM", file.display());
    Ok(Trust::Also(certificates))
}

/// Serves until a signal asks for the end.
async fn serve(config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be listened to")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be listened to")?;
    let running = parlor::serve(config).await?;
    // Lines for people and scripts, not for the log: the link is a secret, and secrets are not logged.
    println!("Parlor is at {}", running.page_url);
    if let Some(link) = &running.admin_link {
        println!("admin link: {link}");
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    running.stop().await;
    Ok(())
}

/// Starts the log on standard error. `setting` is `PARLOR_LOG`: directives, with `json:` or `pretty:` in front to pick the form.
fn start_log(setting: &str) -> anyhow::Result<()> {
    let (json, directives) = match setting.split_once(':') {
        Some(("json", rest)) => (true, rest),
        Some(("pretty", rest)) => (false, rest),
        _ => (!io::stderr().is_terminal(), setting),
    };
    // rtc_dtls warns of every TLS extension that it does not know, and browsers send several.
    let filter = EnvFilter::try_new(format!("rtc_dtls=error,{directives}"))
        .with_context(|| format!("PARLOR_LOG={setting} is not understood"))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // What cannot be written is lost. Otherwise it is told on stderr as well, which panics when that is what is broken.
        .log_internal_errors(false);
    if json {
        log.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
    } else {
        log.init();
    }
    Ok(())
}
