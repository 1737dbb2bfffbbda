//! What a receiver can say that is not so. It may spoil its own stream, but never raise it, and never break anything.

use parlor_media::bwe::{Estimator, LEAST_BPS, MOST_BPS};
use parlor_media::client::Arrivals;
use parlor_media::drop::Drop;
use proptest::prelude::*;

use crate::link::Chance;

/// One RTCP part: base, how many, reference time in 64 ms, chunks and deltas.
fn part(base: u16, count: u16, reference: u32, chunks: &[u16], deltas: &[u8]) -> Vec<u8> {
    let mut part = vec![0x8f, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2];
    part.extend_from_slice(&base.to_be_bytes());
    part.extend_from_slice(&count.to_be_bytes());
    part.extend_from_slice(&reference.to_be_bytes()[1..]);
    part.push(0);
    chunks.iter().for_each(|chunk| part.extend_from_slice(&chunk.to_be_bytes()));
    part.extend_from_slice(deltas);
    part
}

/// A run of packets that arrived with small deltas.
fn arrived(base: u16, count: u16, reference: u32, delta: u8) -> Vec<u8> {
    part(base, count, reference, &[0x2000 | count], &vec![delta; usize::from(count)])
}

/// An estimator after ten good seconds at 1 Mbit/s, the time, and the last number sent.
fn settled() -> (Estimator, u64, u16) {
    let mut estimator = Estimator::new(1_000_000);
    let mut arrivals = Arrivals::default();
    let mut last = 0;
    for ms in 0..10_000u64 {
        let now_us = 1_000_000 + 1_000 * ms;
        if ms.is_multiple_of(8) {
            last = estimator.sent(1_000, false, now_us);
            arrivals.record(last, now_us + 25_000);
        }
        if ms % 50 == 49 {
            let mut feedback = Vec::new();
            arrivals.feedback(1, 2, &mut feedback);
            estimator.feedback(&feedback, now_us + 50_000).expect("an honest feedback");
            estimator.tick(now_us + 50_000);
        }
    }
    (estimator, 11_050_000, last)
}

/// Goes on sending for five seconds while only lies come back.
fn lie(mut lies: impl FnMut(u64, u16, &mut Chance) -> Vec<u8>, expect: impl Fn(Result<(), Drop>) -> bool) {
    let (mut estimator, from_us, mut last) = settled();
    let mut chance = Chance(7);
    let before = estimator.target_bps();
    assert!(before > 900_000, "{before}");
    for ms in 0..5_000u64 {
        let now_us = from_us + 1_000 * ms;
        if ms.is_multiple_of(8) {
            last = estimator.sent(1_000, false, now_us);
        }
        if ms.is_multiple_of(25) {
            let result = estimator.feedback(&lies(now_us, last, &mut chance), now_us);
            assert!(expect(result), "{result:?} at {ms} ms");
            estimator.tick(now_us);
        }
        assert!(estimator.target_bps() <= before, "{} at {ms} ms", estimator.target_bps());
    }
}

/// The receiver's clock in units of 64 ms: it is 25 ms ahead.
fn reference(now_us: u64) -> u32 {
    ((now_us + 25_000) / 64_000) as u32
}

#[test]
fn numbers_that_were_never_sent_are_refused() {
    let refused = |result| result == Err(Drop::Feedback);
    lie(|now_us, last, _| arrived(last.wrapping_add(1), 10, reference(now_us), 1), refused);
    lie(|now_us, last, _| arrived(last.wrapping_sub(3), 10, reference(now_us), 1), refused);
    lie(
        |now_us, last, chance| arrived(last.wrapping_add(1 + (chance.next() % 32_000) as u16), 1, reference(now_us), 1),
        refused,
    );
    lie(|now_us, last, _| part(last.wrapping_sub(100), u16::MAX, reference(now_us), &[0x1fff; 9], &[]), refused);
}

#[test]
fn times_that_cannot_be_are_refused() {
    let refused = |result| result == Err(Drop::Feedback);
    // A minute a packet; and ten packets within the 40 ms since they were sent, one second apart.
    lie(|now_us, last, _| part(last, 1, reference(now_us) + 1_000, &[0x4001], &[0x7f, 0xff]), |_| true);
    let apart = [0x0f, 0xa0].repeat(3);
    lie(|now_us, last, _| part(last.wrapping_sub(2), 3, reference(now_us), &[0x4003], &apart), refused);
    // Back in time, further with each.
    let mut back = 0;
    lie(
        |now_us, last, _| {
            back += 20;
            arrived(last, 1, reference(now_us).wrapping_sub(back), 1)
        },
        |_| true,
    );
    // Any time at all.
    lie(|_, last, chance| arrived(last.wrapping_sub(1), 2, chance.next() as u32 & 0xff_ffff, 1), |_| true);
}

#[test]
fn the_same_again_is_no_news() {
    let mut kept = None;
    lie(
        |now_us, last, _| kept.get_or_insert_with(|| arrived(last, 1, reference(now_us), 1)).clone(),
        |result| result.is_ok(),
    );
}

#[test]
fn a_compound_of_nothing_but_work_is_bounded() {
    // 65,535 packets in runs that claim 8,191 each, over and over.
    lie(
        |now_us, last, _| part(last.wrapping_sub(400), 400, reference(now_us), &[0; 600], &[]),
        |result| result == Err(Drop::Feedback),
    );
}

#[test]
fn a_receiver_that_names_a_rate_never_stops_a_stream_for_good() {
    let (mut estimator, mut now_us, _) = settled();
    let before = estimator.target_bps();
    for bps in [0, 1, 1_000, u64::MAX] {
        estimator.remb(bps, now_us);
        assert!((LEAST_BPS as u64..=before).contains(&estimator.target_bps()), "{bps}");
    }
    estimator.remb(300_000, now_us);
    assert_eq!(estimator.target_bps(), 300_000);
    estimator.remb(0, now_us);
    assert_eq!(estimator.target_bps(), 300_000);
    // It has to say so again.
    now_us += 6_000_000;
    estimator.tick(now_us);
    assert_eq!(estimator.target_bps(), before);
}

#[test]
fn receiver_reports_serve_who_has_nothing_better() {
    let mut estimator = Estimator::new(600_000);
    for second in 1..=30 {
        estimator.reported(0, 80_000, second * 1_000_000);
    }
    assert!(estimator.target_bps() > 3_000_000, "{}", estimator.target_bps());
    estimator.remb(2_000_000, 31_000_000);
    assert_eq!(estimator.target_bps(), 2_000_000);
    for second in 31..=40 {
        estimator.reported(64, 80_000, second * 1_000_000);
    }
    assert!(estimator.target_bps() < 1_500_000, "{}", estimator.target_bps());
    assert_eq!(estimator.rtt_us(), Some(80_000));
    // With transport-wide feedback they are no news.
    let (mut estimator, now_us, _) = settled();
    let before = estimator.target_bps();
    estimator.reported(255, 1, now_us);
    assert_eq!(estimator.target_bps(), before);
}

#[derive(Debug, Clone)]
enum Act {
    Send { packets: u8, bytes: u16, probe: bool },
    Wait { us: u64 },
    Honest { lost: u8 },
    Bytes(Vec<u8>),
    Forged { behind: u16, count: u16, reference: u32, body: Vec<u8> },
    Remb(u64),
    Reported { fraction: u8, rtt_us: u64 },
    Wanted(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1u8..60, any::<u16>(), any::<bool>()).prop_map(|(packets, bytes, probe)| Act::Send { packets, bytes, probe }),
        4 => prop_oneof![0u64..100_000, 0u64..10_000_000_000].prop_map(|us| Act::Wait { us }),
        4 => any::<u8>().prop_map(|lost| Act::Honest { lost }),
        1 => proptest::collection::vec(any::<u8>(), 0..60).prop_map(Act::Bytes),
        3 => (0u16..200, 0u16..200, any::<u32>(), proptest::collection::vec(any::<u8>(), 0..400))
            .prop_map(|(behind, count, reference, body)| Act::Forged { behind, count, reference, body }),
        1 => any::<u64>().prop_map(Act::Remb),
        1 => (any::<u8>(), any::<u64>()).prop_map(|(fraction, rtt_us)| Act::Reported { fraction, rtt_us }),
        1 => any::<u64>().prop_map(Act::Wanted),
    ]
}

proptest! {
    /// Whatever happens, in whatever order: the estimate stays within its bounds, and so does all else.
    #[test]
    fn nothing_breaks_it(start in any::<u64>(), acts in proptest::collection::vec(act(), 0..120)) {
        let mut estimator = Estimator::new(start);
        let mut arrivals = Arrivals::default();
        let (mut now_us, mut last) = (1_000_000u64, 0u16);
        for act in acts {
            match act {
                Act::Send { packets, bytes, probe } => {
                    for packet in 0..packets {
                        last = estimator.sent(bytes, probe, now_us);
                        arrivals.record(last, now_us + 20_000 + 100 * u64::from(packet));
                        now_us += 500;
                    }
                }
                Act::Wait { us } => now_us += us,
                Act::Honest { lost } => {
                    now_us += 50_000;
                    let mut feedback = Vec::new();
                    arrivals.feedback(1, 2, &mut feedback);
                    if lost < 200 {
                        let _ = estimator.feedback(&feedback, now_us);
                    }
                }
                Act::Bytes(bytes) => drop(estimator.feedback(&bytes, now_us)),
                Act::Forged { behind, count, reference, body } => {
                    let mut forged = part(last.wrapping_sub(behind), count, reference, &[], &[]);
                    forged.extend_from_slice(&body);
                    let _ = estimator.feedback(&forged, now_us);
                }
                Act::Remb(bps) => estimator.remb(bps, now_us),
                Act::Reported { fraction, rtt_us } => estimator.reported(fraction, rtt_us, now_us),
                Act::Wanted(bps) => estimator.wanted(bps, bps / 2, now_us),
            }
            estimator.tick(now_us);
            if let Some(probe) = estimator.probe(now_us) {
                prop_assert!(probe.bps <= MOST_BPS as u64 && probe.bytes > 0 && probe.bytes < 1_000_000);
            }
            prop_assert!((LEAST_BPS as u64..=MOST_BPS as u64).contains(&estimator.target_bps()));
            prop_assert!((0.0..=1.0).contains(&estimator.loss()));
        }
    }
}
