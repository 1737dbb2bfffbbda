//! The estimator on links that a seed makes: it fills them, keeps their queues short, and lets nobody starve.

mod flow;
mod hostile;
mod link;
mod scenarios;

/// Share of the link that media used in the three phases of the 3 → 0.6 → 3 Mbit/s run: when settled in the first two, and from
/// ten seconds after the capacity came back.
fn use_of_each(flow: &flow::Flow) -> [f64; 3] {
    let within = |from: u64, to: u64, bps: f64| flow.media_bps(from * 1_000_000..to * 1_000_000) / bps;
    [within(5, 30, 3e6), within(35, 60, 0.6e6), within(70, 90, 3e6)]
}
