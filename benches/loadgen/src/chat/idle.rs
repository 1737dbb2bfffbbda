//! What an open socket costs that nobody uses: memory while it stays, and time to come.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::people;
use crate::bench::{Figure, Options};
use crate::process::{cpu_time, resident_bytes};
use crate::server::{LOOPBACK, Server};
use crate::session;
use crate::signal::Signal;

/// Sockets that stay open.
const SOCKETS: usize = 10_000;
/// Sockets that come before: what the first ones bring is no socket's.
const BEFORE: usize = 200;
/// Sockets that are opened at once.
const AT_ONCE: usize = 32;
/// What opening leaves behind is given back as far as it is.
const LATER: Duration = Duration::from_secs(5);

/// The growth of the server from a few hundred sockets to ten thousand more, each of another person; and its CPU time for
/// the upgrade and the login of each.
pub(crate) fn measure(options: &Options, signal: &Signal) -> anyhow::Result<Vec<Figure>> {
    let most = (SOCKETS + BEFORE + 1_000).to_string();
    let settings = [("PARLOR_HTTP__MAX_CONNECTIONS", most.as_str()), ("PARLOR_SAMPLE_EVERY_MS", "0")];
    let server = Server::start_with(&options.server(), signal, LOOPBACK, &settings)?;
    let (address, pid) = (server.address.as_str(), server.pid());
    signal.runtime.block_on(async {
        let people = session::Server::at(&format!("http://{address}"), false)?;
        let tokens = people::enter(&people, SOCKETS + BEFORE).await?;
        let open = move |tokens: &[String]| {
            let lines = stream::iter(tokens.to_vec()).map(move |token| async move {
                let mut line = people::log_in(address, &token).await?;
                line.shrink();
                anyhow::Ok(line)
            });
            lines.buffer_unordered(AT_ONCE).try_collect::<Vec<_>>()
        };
        let first = open(&tokens[..BEFORE]).await?;
        tokio::time::sleep(LATER).await;
        let (memory, cpu) = (resident_bytes(pid)?, cpu_time(pid)?);
        let rest = open(&tokens[BEFORE..]).await?;
        let cpu = cpu_time(pid)?.saturating_sub(cpu);
        tokio::time::sleep(LATER).await;
        let grown = resident_bytes(pid)?.saturating_sub(memory);
        let count = rest.len() as f64;
        eprintln!("idle: {grown} bytes and {cpu:?} for {count} sockets beside {}", first.len());
        Ok(vec![
            Figure::new("idle_socket_kb", grown as f64 / count / 1000.0, "kB"),
            Figure::new("connect_cpu_ms", cpu.as_secs_f64() * 1000.0 / count, "ms"),
        ])
    })
}
