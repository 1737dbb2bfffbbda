//! Opus in RTP (RFC 7587): a packet is a frame of the file, whatever is in it.

/// The clock that timestamps count, whatever the encoder's own rate.
pub const CLOCK_HZ: u32 = 48_000;
/// What decoders give: a packet says for itself whether it is mono, and RTP always announces two.
pub const CHANNELS: u8 = 2;
/// Samples by which the encoder lags behind what it hears: 2.5 ms of overlap and 4 ms of looking ahead.
const PRE_SKIP: u16 = 312;
/// The same in nanoseconds.
pub const DELAY_NS: u64 = PRE_SKIP as u64 * 1_000_000_000 / CLOCK_HZ as u64;
/// The longest packet (RFC 6716 §3.2.5).
const MOST_US: u64 = 120_000;

/// The identification header (RFC 7845 §5.1).
pub const HEAD: [u8; 19] = {
    let [skip_low, skip_high] = PRE_SKIP.to_le_bytes();
    let [a, b, c, d] = CLOCK_HZ.to_le_bytes();
    [b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', 1, CHANNELS, skip_low, skip_high, a, b, c, d, 0, 0, 0]
};

/// How long a packet plays, by its table of contents (RFC 6716 §3.1); `None`: it is no Opus packet.
pub fn duration_us(packet: &[u8]) -> Option<u64> {
    let (&contents, rest) = packet.split_first()?;
    let config = contents >> 3;
    let frame_us = match config {
        0..=11 => [10_000, 20_000, 40_000, 60_000][usize::from(config & 3)],
        12..=15 => [10_000, 20_000][usize::from(config & 1)],
        _ => [2_500, 5_000, 10_000, 20_000][usize::from(config & 3)],
    };
    let frames = match contents & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(rest.first()? & 0x3f),
    };
    Some(frame_us * frames).filter(|us| (1..=MOST_US).contains(us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_says_how_long_it_plays() {
        // Configurations of RFC 6716 table 2: SILK 60 ms, hybrid 10 ms, CELT 2.5 ms and 20 ms.
        assert_eq!(duration_us(&[3 << 3, 1]), Some(60_000));
        assert_eq!(duration_us(&[12 << 3, 1]), Some(10_000));
        assert_eq!(duration_us(&[28 << 3, 1]), Some(2_500));
        assert_eq!(duration_us(&[31 << 3 | 1, 1]), Some(40_000));
        assert_eq!(duration_us(&[31 << 3 | 3, 6, 1]), Some(120_000));
        assert_eq!(duration_us(&[31 << 3 | 3, 7]), None);
        assert_eq!(duration_us(&[31 << 3 | 3, 0]), None);
        assert_eq!(duration_us(&[31 << 3 | 3]), None);
        assert_eq!(duration_us(&[]), None);
        assert_eq!(&HEAD[..12], b"OpusHead\x01\x02\x38\x01");
        assert_eq!(DELAY_NS, 6_500_000);
    }
}
