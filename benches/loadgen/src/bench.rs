//! The figures: what is run for each, and how its number is made. `docs/benchmarks.md` says it in prose.

use std::path::PathBuf;
use std::time::Duration;

use crate::chat::{append, fanout, idle, rules};
use crate::signal::Signal;
use crate::workload::{Workload, chromium_trace};
use crate::{bitrate, forward, janus, join, large, looks, memory, recorded, sampled, simulated, strangers};

/// What `parlor-loadgen bench` is told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Measure only what this figure needs, e.g. `forward_vs_floor_20k`.
    #[arg(long)]
    only: Option<String>,
    /// The server binary; beside this one unless named.
    #[arg(long)]
    server: Option<PathBuf>,
    /// Runs of the floor and of the server for each forwarding figure; the median counts.
    #[arg(long, default_value_t = 5)]
    pub runs: usize,
    /// Seconds of each measured window.
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Subscribers of the one publisher.
    #[arg(long, default_value_t = 50)]
    pub subscribers: usize,
}

impl Options {
    /// The command line that says the same to another process of this program.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let server = self.server().display().to_string();
        let numbers =
            [("--runs", self.runs as u64), ("--seconds", self.seconds), ("--subscribers", self.subscribers as u64)];
        let numbers = numbers.into_iter().map(|(name, number)| format!("{name}={number}"));
        numbers.chain([format!("--server={server}")]).collect()
    }

    pub(crate) fn server(&self) -> PathBuf {
        self.server.clone().unwrap_or_else(crate::default_server)
    }

    pub(crate) fn window(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// One measured number.
pub(crate) struct Figure {
    name: String,
    value: f64,
    unit: String,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &str) -> Self {
        Self { name: name.into(), value, unit: unit.to_owned() }
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "figure {} {:.2} {}", self.name, self.value, self.unit)
    }
}

impl std::str::FromStr for Figure {
    type Err = anyhow::Error;

    /// The line that it is printed as.
    fn from_str(line: &str) -> anyhow::Result<Self> {
        let ["figure", name, value, unit] = line.split(' ').collect::<Vec<_>>()[..] else {
            anyhow::bail!("{line:?} is no figure");
        };
        Ok(Self { name: name.to_owned(), value: value.parse()?, unit: unit.to_owned() })
    }
}

/// What is measured together, and the figures that come out of it.
struct Part {
    figures: &'static [&'static str],
    measure: fn(&Options, &Signal) -> anyhow::Result<Vec<Figure>>,
}

const PARTS: &[Part] = &[
    Part {
        figures: &["forward_vs_floor_20k", "forward_us_20k", "floor_us_20k", "forward_p50_us", "forward_p99_us"],
        measure: |options, signal| forward::measure("20k", &bursts(20), options, signal),
    },
    Part {
        figures: &["forward_vs_floor_80k", "forward_us_80k", "floor_us_80k"],
        measure: |options, signal| forward::measure("80k", &bursts(80), options, signal),
    },
    Part {
        figures: &["forward_vs_floor_browser", "forward_us_browser", "floor_us_browser"],
        measure: |options, signal| forward::measure("browser", &Workload::Trace(chromium_trace()), options, signal),
    },
    Part {
        figures: &[
            "forward_full_vs_floor_80k",
            "forward_paced_vs_floor_80k",
            "forward_full_us_80k",
            "forward_paced_us_80k",
        ],
        measure: |options, signal| forward::measure_full(&bursts(80), options, signal),
    },
    Part { figures: &["janus_vs_parlor_cpu", "janus_us_20k", "parlor_us_20k_veth"], measure: janus::measure },
    Part {
        figures: &[
            "meeting50_server_loss",
            "meeting50_p99_vs_echo",
            "meeting50_p99_us",
            "meeting50_echo_p99_us",
            "meeting50_packets_per_s",
            "meeting50_sink_loss_pct",
            "meeting50_cpu_pct",
        ],
        measure: large::meeting,
    },
    Part { figures: &["broadcast_viewers_per_core", "broadcast_us", "broadcast_loss_pct"], measure: large::broadcast },
    Part {
        figures: &[
            "broadcast_spread_vs_one",
            "broadcast_spread_busiest_pct",
            "broadcast_us_one",
            "broadcast_us_spread",
        ],
        measure: large::spread,
    },
    Part {
        figures: &[
            "cost_flatness",
            "cost_flatness_unpaced",
            "cost_us_1x10",
            "cost_us_1x50",
            "cost_us_1x500",
            "cost_us_10x10",
            "cost_us_50x10",
        ],
        measure: large::flatness,
    },
    Part { figures: &["bwe_use_pct", "frames_complete_10loss_pct"], measure: simulated::measure },
    Part { figures: &["peer_kb", "peer_idle_kb"], measure: memory::measure },
    Part { figures: &["samples_vs_inference", "samples_per_core_s", "inference_ms"], measure: looks::measure },
    Part { figures: &["sampling_media_cpu_pct", "sampling_media_noise_pct"], measure: sampled::measure },
    Part { figures: &["sampling_extra_bitrate_pct", "sampling_bitrate_kbps"], measure: bitrate::measure },
    Part { figures: &["record_cpu_vs_forward", "record_us", "forward_us_recorded"], measure: recorded::measure },
    Part {
        figures: &["match_pairs_per_s", "match_pairs_per_s_brute", "match_quality_pct"],
        measure: strangers::measure,
    },
    Part { figures: &["idle_socket_kb", "connect_cpu_ms"], measure: idle::measure },
    Part {
        figures: &[
            "fanout_vs_node_ws",
            "fanout_vs_nchan",
            "fanout_per_cpu_s",
            "fanout_node_ws_per_cpu_s",
            "fanout_nchan_per_cpu_s",
        ],
        measure: fanout::measure,
    },
    Part { figures: &["fanout_p99_vs_echo", "fanout_p99_us", "fanout_echo_p99_us"], measure: fanout::measure_delay },
    Part {
        figures: &["commits_per_message", "group_commit_vs_single_sqlite", "append_sqlite_per_s"],
        measure: append::measure_sqlite,
    },
    Part { figures: &["group_commit_vs_single_postgres", "append_postgres_per_s"], measure: append::measure_postgres },
    Part { figures: &["rules_500_cpu_pct"], measure: rules::measure },
    Part { figures: &["send_cost_1m_vs_1k", "send_us_1k", "send_us_1m"], measure: append::measure_history },
    Part { figures: &["join_extra_ms_p50", "join_ms_p50", "join_direct_ms_p50"], measure: join::measure },
];

/// Packets of 1,160 bytes, twenty at a time.
fn bursts(per_s: u32) -> Workload {
    Workload::Bursts { per_s, packets: 20, payload_bytes: 1160 }
}

/// Measures, prints what it sees on the way to standard error, and the figures at the end to standard output.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let wanted = |part: &&Part| options.only.as_deref().is_none_or(|name| part.figures.contains(&name));
    let parts: Vec<&Part> = PARTS.iter().filter(wanted).collect();
    if parts.is_empty() {
        let names: Vec<&str> = PARTS.iter().flat_map(|part| part.figures).copied().collect();
        anyhow::bail!("there is no such figure; there are {}", names.join(", "));
    }
    let signal = Signal::new()?;
    let mut figures = Vec::new();
    let mut failed = None;
    for part in parts {
        match (part.measure)(options, &signal) {
            Ok(measured) => figures.extend(measured),
            // The other figures are still worth having.
            Err(error) => {
                eprintln!("{}: {error:#}", part.figures[0]);
                failed = Some(error);
            }
        }
    }
    for figure in figures.iter().filter(|figure| options.only.as_ref().is_none_or(|name| *name == figure.name)) {
        println!("{figure}");
    }
    failed.map_or(Ok(()), Err)
}
