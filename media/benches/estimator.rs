//! What the estimator costs for each packet: `sent`, and its share of a `feedback`. Goal: both together below 40 ns.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use parlor_media::bwe::Estimator;
use parlor_media::client::Arrivals;

/// One feedback's worth of packets, and how far apart they are: 3 Mbit/s for 50 ms, 12 Mbit/s for 50 ms, a voice for 100 ms.
const LOADS: [(&str, u64, u64); 3] = [("3 Mbit/s", 16, 3_200), ("12 Mbit/s", 64, 800), ("a voice", 5, 20_000)];

/// So many feedbacks are measured at once, since reading the clock takes time too.
const ROUNDS: u64 = 20;

struct Path {
    estimator: Estimator,
    arrivals: Arrivals,
    now_us: u64,
    next: u16,
    parts: Vec<Vec<u8>>,
}

impl Path {
    /// The feedbacks to what is about to be sent. One packet in a hundred is lost.
    fn prepare(&mut self, packets: u64, apart_us: u64) {
        let mut now_us = self.now_us;
        for part in &mut self.parts {
            for packet in 1..=packets {
                if !self.next.is_multiple_of(100) {
                    self.arrivals.record(self.next, now_us + packet * apart_us + 25_000 + (packet * 7) % 300);
                }
                self.next = self.next.wrapping_add(1);
            }
            now_us += packets * apart_us;
            part.clear();
            self.arrivals.feedback(1, 2, part);
        }
    }

    fn go(&mut self, packets: u64, apart_us: u64) {
        for part in &self.parts {
            for _ in 0..packets {
                self.now_us += apart_us;
                self.estimator.sent(1_200, false, self.now_us);
            }
            self.estimator.feedback(part, self.now_us + 50_000).expect("an honest feedback");
            self.estimator.tick(self.now_us + 50_000);
        }
    }
}

fn estimator(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("estimator");
    for (name, packets, apart_us) in LOADS {
        group.throughput(Throughput::Elements(packets * ROUNDS));
        group.bench_function(format!("sent and feedback, {name}"), |bencher| {
            let path = std::cell::RefCell::new(Path {
                estimator: Estimator::new(3_000_000),
                arrivals: Arrivals::default(),
                now_us: 1_000_000,
                next: 0,
                parts: vec![Vec::new(); ROUNDS as usize],
            });
            bencher.iter_batched(
                || path.borrow_mut().prepare(packets, apart_us),
                |()| path.borrow_mut().go(packets, apart_us),
                BatchSize::PerIteration,
            );
        });
        group.throughput(Throughput::Elements(packets));
        group.bench_function(format!("sent, {name}"), |bencher| {
            let mut estimator = Estimator::new(3_000_000);
            let mut now_us = 1_000_000;
            bencher.iter(|| {
                for _ in 0..packets {
                    now_us += apart_us;
                    estimator.sent(1_200, false, now_us);
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, estimator);
criterion_main!(benches);
