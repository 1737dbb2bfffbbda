//! What a receiver says of its line.

use parlor_media::bwe::{Estimator, LEAST_BPS, MOST_BPS};
use parlor_media::client::Arrivals;

/// Transport-wide feedback, in records of a kind, a length and that many bytes: raw parts, parts with a good head around them,
/// honest ones in between, and time going by. The estimate stays within its bounds; what was only just refused never raises it.
pub fn feedback(data: &[u8]) {
    let mut estimator = Estimator::new(1_000_000);
    let mut arrivals = Arrivals::default();
    let (mut now_us, mut last) = (1_000_000u64, 0u16);
    let mut rest = data;
    // More records find no more: they only make each try slow.
    for _ in 0..64 {
        let [kind, len, tail @ ..] = rest else { break };
        let (record, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        let number = record.first_chunk().map_or(1, |number| u16::from_be_bytes(*number));
        match kind & 7 {
            0 => drop(estimator.feedback(record, now_us)),
            1 | 2 => lie(&mut estimator, last, record, now_us),
            3 => {
                let mut part = Vec::new();
                arrivals.feedback(1, 2, &mut part);
                let _ = estimator.feedback(&part, now_us);
            }
            4 | 5 => {
                for packet in 0..number % 64 {
                    last = estimator.sent(number, kind & 8 != 0, now_us);
                    if packet % 16 != 5 {
                        arrivals.record(last, now_us + 25_000);
                    }
                    now_us += 1_000;
                }
            }
            6 => {
                estimator.remb(u64::from(number) << (kind >> 3), now_us);
                estimator.reported(number as u8, u64::from(number) << (kind >> 3), now_us);
            }
            _ => {
                now_us += u64::from(number) * if kind & 8 != 0 { 1_000_000 } else { 1_000 };
                estimator.wanted(u64::from(number) * 100, 100_000, now_us);
                estimator.tick(now_us);
                if let Some(probe) = estimator.probe(now_us) {
                    assert!(probe.bps <= MOST_BPS as u64 && probe.bytes < 1_000_000);
                }
            }
        }
        assert!((LEAST_BPS as u64..=MOST_BPS as u64).contains(&estimator.target_bps()), "{}", estimator.target_bps());
        assert!((0.0..=1.0).contains(&estimator.loss()));
    }
}

/// A part with a good head, on packets close to the last that was sent.
fn lie(estimator: &mut Estimator, last: u16, record: &[u8], now_us: u64) {
    let [behind, count, reference, body @ ..] = record else { return };
    let mut part = vec![0x8f, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2];
    part.extend_from_slice(&last.wrapping_sub(u16::from(*behind)).to_be_bytes());
    part.extend_from_slice(&u16::from(*count).to_be_bytes());
    part.extend_from_slice(&[0, 0, *reference, 0]);
    part.extend_from_slice(body);
    let before = estimator.target_bps();
    if estimator.feedback(&part, now_us).is_err() {
        assert_eq!(estimator.target_bps(), before, "what was refused changes nothing");
    }
}
