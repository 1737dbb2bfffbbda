//! What a publisher sends, and when: regular bursts, or a recorded trace. The floor and the publisher share it, so that
//! both send packets of the same sizes at the same moments.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// Packets closer than this leave together: a sender's pacer hands them to the kernel back to back, and no timer of
/// user space keeps them apart.
const TOGETHER_US: u64 = 250;

/// One packet as its sender plans it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Bytes of RTP payload, before encryption.
    pub payload_bytes: usize,
    /// The last packet of its frame.
    pub marker: bool,
}

/// A named pattern of packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    /// `per_s` times a second one frame of `packets` equal packets.
    Bursts { per_s: u32, packets: usize, payload_bytes: usize },
    /// The packets of a file (`gap_us,payload_bytes,marker`), again and again.
    Trace(PathBuf),
}

impl FromStr for Workload {
    type Err = anyhow::Error;

    /// `bursts:20:20:1160` or `trace:FILE`.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text.split(':').collect::<Vec<_>>()[..] {
            ["bursts", per_s, packets, payload_bytes] => Ok(Self::Bursts {
                per_s: per_s.parse()?,
                packets: packets.parse()?,
                payload_bytes: payload_bytes.parse()?,
            }),
            ["trace", file] => Ok(Self::Trace(file.into())),
            _ => bail!("{text:?} is neither bursts:PER_S:PACKETS:BYTES nor trace:FILE"),
        }
    }
}

impl std::fmt::Display for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bursts { per_s, packets, payload_bytes } => write!(f, "bursts:{per_s}:{packets}:{payload_bytes}"),
            Self::Trace(file) => write!(f, "trace:{}", file.display()),
        }
    }
}

impl Workload {
    /// How many packets a publisher sends, on average.
    pub(crate) fn packets_per_s(&self) -> anyhow::Result<f64> {
        match self {
            Self::Bursts { per_s, packets, .. } => Ok(f64::from(*per_s) * *packets as f64),
            Self::Trace(file) => {
                let rounds = read_trace(file)?;
                let packets: usize = rounds.iter().map(|(_, round)| round.len()).sum();
                let length: Duration = rounds.iter().map(|(gap, _)| *gap).sum();
                Ok(packets as f64 / length.as_secs_f64())
            }
        }
    }
}

/// Hands out the packets of a workload when they are due.
pub(crate) struct Pacer {
    /// Each round is what leaves together, and how long after the round before.
    rounds: Vec<(Duration, Vec<Shape>)>,
    next: usize,
    due: Instant,
}

impl Pacer {
    /// A pacer whose first round is due at once.
    pub(crate) fn start(workload: &Workload) -> anyhow::Result<Self> {
        let rounds = match workload {
            Workload::Bursts { per_s, packets, payload_bytes } => {
                let burst = (0..*packets)
                    .map(|i| Shape { payload_bytes: *payload_bytes, marker: i + 1 == *packets })
                    .collect::<Vec<_>>();
                vec![(Duration::from_secs(1) / *per_s, burst)]
            }
            Workload::Trace(file) => read_trace(file)?,
        };
        Ok(Self { rounds, next: 0, due: Instant::now() })
    }

    /// When the next round is due. The schedule is absolute: a late round does not delay the ones after it.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// The round that is due now.
    pub(crate) fn take(&mut self) -> &[Shape] {
        let now = self.next;
        self.next = (now + 1) % self.rounds.len();
        self.due += self.rounds[self.next].0;
        &self.rounds[now].1
    }
}

/// A path as the command line gives it, or the fixture in this source tree.
pub(crate) fn chromium_trace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../media/fixtures/trace-chromium-vp8.csv")
}

fn read_trace(file: &Path) -> anyhow::Result<Vec<(Duration, Vec<Shape>)>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading the trace {}", file.display()))?;
    let mut rounds: Vec<(Duration, Vec<Shape>)> = Vec::new();
    let mut frames_us = Vec::new();
    for line in text.lines().skip(1) {
        let [gap_us, payload_bytes, marker] = line.split(',').collect::<Vec<_>>()[..] else {
            bail!("{}: {line:?} is not gap_us,payload_bytes,marker", file.display());
        };
        let gap_us: u64 = gap_us.parse()?;
        let shape = Shape { payload_bytes: payload_bytes.parse()?, marker: marker == "1" };
        match rounds.last_mut() {
            Some((_, round)) if gap_us < TOGETHER_US => round.push(shape),
            _ => rounds.push((Duration::from_micros(gap_us), vec![shape])),
        }
        frames_us.push(gap_us);
    }
    // The first gap is that between the end of one pass and the start of the next; the file cannot know it, so it is
    // the mean distance of two frames.
    let frames = rounds.iter().flat_map(|(_, round)| round).filter(|shape| shape.marker).count();
    let Some(first) = rounds.first_mut() else { bail!("{} holds no packet", file.display()) };
    first.0 = Duration::from_micros(frames_us.iter().sum::<u64>() / frames.max(1) as u64);
    Ok(rounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for text in ["bursts:20:20:1160", "trace:/tmp/a.csv"] {
            assert_eq!(text.parse::<Workload>().unwrap().to_string(), text);
        }
        assert!("bursts:20".parse::<Workload>().is_err());
    }

    #[test]
    fn bursts_come_at_a_steady_rate() {
        let mut pacer = Pacer::start(&"bursts:20:20:1160".parse().unwrap()).unwrap();
        let start = pacer.due();
        for _ in 0..40 {
            let round = pacer.take();
            assert_eq!(round.len(), 20);
            assert_eq!(round.iter().filter(|shape| shape.marker).count(), 1);
        }
        assert_eq!(pacer.due() - start, Duration::from_secs(2));
    }

    #[test]
    fn the_recorded_trace_keeps_sizes_and_time() {
        let mut pacer = Pacer::start(&Workload::Trace(chromium_trace())).unwrap();
        let (start, rounds) = (pacer.due(), pacer.rounds.len());
        let mut shapes = Vec::new();
        for _ in 0..rounds {
            shapes.extend_from_slice(pacer.take());
        }
        assert_eq!(shapes.len(), 1291);
        assert_eq!(shapes.iter().filter(|shape| shape.marker).count(), 300);
        let per_s = Workload::Trace(chromium_trace()).packets_per_s().unwrap();
        assert!((per_s - 129.1).abs() < 1.5, "{per_s}");
        assert!((pacer.due() - start).abs_diff(Duration::from_secs(10)) < Duration::from_millis(100));
        assert!(shapes.iter().all(|shape| (1..=1200).contains(&shape.payload_bytes)));
    }
}
