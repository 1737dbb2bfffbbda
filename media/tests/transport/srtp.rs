//! Against `rtc-srtp`, an implementation of its own.

use parlor_media::drop::Drop;
use parlor_media::rtp::write_header;
use parlor_media::srtp::{Keys, MAX_RTCP_SSRCS, Opener, Profile, RolloverWindow, Sealer};
use proptest::prelude::*;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

const PROFILES: [Profile; 2] = [Profile::AeadAes128Gcm, Profile::AesCm128HmacSha1_80];
const HEADER_LEN: usize = 12;
const SSRC: u32 = 0xcafe_f00d;

fn keys(profile: Profile) -> Keys {
    Keys {
        profile,
        local_key: *b"local key 16 oct",
        local_salt: *b"local salt  14",
        remote_key: *b"remote key 16 oc",
        remote_salt: *b"remote salt 14",
    }
}

/// The other implementation with a key of ours.
fn theirs(profile: Profile, key: &[u8], salt: &[u8]) -> Context {
    let (profile, salt_len) = match profile {
        Profile::AeadAes128Gcm => (ProtectionProfile::AeadAes128Gcm, 12),
        Profile::AesCm128HmacSha1_80 => (ProtectionProfile::Aes128CmHmacSha1_80, 14),
    };
    let provider = rtc_crypto::default_provider().unwrap();
    Context::new(key, &salt[..salt_len], profile, None, None, provider.crypto()).unwrap()
}

fn packet(sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; HEADER_LEN];
    write_header(&mut packet, 96, true, sequence, 90_000, SSRC);
    packet.extend_from_slice(payload);
    packet
}

fn seal(sealer: &mut Sealer, plain: &[u8], roc: u32) -> Vec<u8> {
    let mut packet = plain.to_vec();
    packet.resize(plain.len() + sealer.tag_len(), 0);
    sealer.seal_rtp(&mut packet, HEADER_LEN, roc);
    packet
}

fn receiver_report(ssrc: u32) -> Vec<u8> {
    [&[0x80, 201, 0, 1][..], &ssrc.to_be_bytes()].concat()
}

#[test]
fn they_open_what_we_seal() {
    for profile in PROFILES {
        let keys = keys(profile);
        let mut sealer = Sealer::new(&keys);
        let mut context = theirs(profile, &keys.local_key, &keys.local_salt);
        // Over a wrap of the sequence number, too.
        for (sequence, roc) in [(65_534, 0), (65_535, 0), (0, 1), (1, 1)] {
            let plain = packet(sequence, b"a payload that is longer than a block of the cipher");
            let sealed = seal(&mut sealer, &plain, roc);
            assert_eq!(sealed.len(), plain.len() + profile.tag_len());
            assert_eq!(context.decrypt_rtp(&sealed).unwrap(), plain, "{profile:?} {sequence}");
        }
        let report = receiver_report(SSRC);
        for _ in 0..3 {
            let mut sealed = b"kept".to_vec();
            sealer.seal_rtcp(&report, &mut sealed);
            assert_eq!(sealed.len(), 4 + report.len() + profile.rtcp_overhead());
            assert_eq!(context.decrypt_rtcp(&sealed[4..]).unwrap(), report, "{profile:?}");
        }
    }
}

#[test]
fn we_open_what_they_seal() {
    for profile in PROFILES {
        let keys = keys(profile);
        let mut context = theirs(profile, &keys.remote_key, &keys.remote_salt);
        let mut opener = Opener::new(&keys);
        let mut window = RolloverWindow::default();
        for sequence in [65_534, 65_535, 0, 1] {
            let plain = packet(sequence, b"a payload that is longer than a block of the cipher");
            let mut sealed = context.encrypt_rtp(&plain).unwrap().to_vec();
            let index = window.estimate(sequence);
            window.check(index).unwrap();
            let len = opener.open_rtp(&mut sealed, HEADER_LEN, index).unwrap();
            window.accept(index);
            assert_eq!(sealed[..len], plain, "{profile:?} {sequence}");
        }
        let report = receiver_report(SSRC);
        for _ in 0..3 {
            let sealed = context.encrypt_rtcp(&report).unwrap();
            let mut opened = b"kept".to_vec();
            opener.open_rtcp(&sealed, &mut opened).unwrap();
            assert_eq!(opened[4..], report, "{profile:?}");
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_noticed() {
    for profile in PROFILES {
        let keys = keys(profile);
        let mut sealer = Sealer::new(&keys);
        let mut opener = Opener::new(&keys.swapped());
        let sealed = seal(&mut sealer, &packet(7, b"payload"), 0);
        let mut report = Vec::new();
        sealer.seal_rtcp(&receiver_report(SSRC), &mut report);
        for bit in 0..sealed.len() * 8 {
            let mut forged = sealed.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opener.open_rtp(&mut forged, HEADER_LEN, 7), Err(Drop::SrtpAuth), "{profile:?} bit {bit}");
        }
        for bit in 0..report.len() * 8 {
            let mut forged = report.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let mut out = Vec::new();
            assert_eq!(opener.open_rtcp(&forged, &mut out), Err(Drop::SrtpAuth), "{profile:?} bit {bit}");
            assert!(out.is_empty());
        }
        assert_eq!(opener.open_rtp(&mut sealed.clone(), HEADER_LEN, 65_536 + 7), Err(Drop::SrtpAuth), "another round");
        opener.open_rtp(&mut sealed.clone(), HEADER_LEN, 7).unwrap();
        opener.open_rtcp(&report, &mut Vec::new()).unwrap();
    }
}

#[test]
fn a_cut_packet_is_noticed() {
    for profile in PROFILES {
        let keys = keys(profile);
        let mut sealer = Sealer::new(&keys);
        let mut opener = Opener::new(&keys.swapped());
        let sealed = seal(&mut sealer, &packet(7, b"payload"), 0);
        let mut report = Vec::new();
        sealer.seal_rtcp(&receiver_report(SSRC), &mut report);
        for len in 0..sealed.len() {
            assert!(opener.open_rtp(&mut sealed[..len].to_vec(), HEADER_LEN, 7).is_err(), "{profile:?} {len}");
        }
        for len in 0..report.len() {
            assert!(opener.open_rtcp(&report[..len], &mut Vec::new()).is_err(), "{profile:?} {len}");
        }
    }
}

#[test]
fn a_report_is_taken_once() {
    for profile in PROFILES {
        let keys = keys(profile);
        let (mut sealer, mut opener) = (Sealer::new(&keys), Opener::new(&keys.swapped()));
        let mut report = Vec::new();
        sealer.seal_rtcp(&receiver_report(SSRC), &mut report);
        let mut opened = Vec::new();
        opener.open_rtcp(&report, &mut opened).unwrap();
        assert_eq!(opener.open_rtcp(&report, &mut opened), Err(Drop::SrtpReplay), "{profile:?}");
        assert_eq!(opened.len(), 8);
    }
}

#[test]
fn reports_come_from_a_bounded_number_of_senders_and_forgeries_count_for_none() {
    for profile in PROFILES {
        let keys = keys(profile);
        let (mut sealer, mut opener) = (Sealer::new(&keys), Opener::new(&keys.swapped()));
        let mut sealed = |ssrc: u32| {
            let mut report = Vec::new();
            sealer.seal_rtcp(&receiver_report(ssrc), &mut report);
            report
        };
        for ssrc in 1_000..2_000 {
            let mut forged = sealed(ssrc);
            *forged.last_mut().unwrap() ^= 1;
            assert_eq!(opener.open_rtcp(&forged, &mut Vec::new()), Err(Drop::SrtpAuth));
        }
        for ssrc in 0..MAX_RTCP_SSRCS as u32 {
            opener.open_rtcp(&sealed(ssrc), &mut Vec::new()).unwrap();
        }
        assert_eq!(opener.open_rtcp(&sealed(99), &mut Vec::new()), Err(Drop::SrtcpSsrcs), "{profile:?}");
        opener.open_rtcp(&sealed(5), &mut Vec::new()).unwrap();
    }
}

#[test]
fn what_is_too_short_for_rtcp_is_not_sealed() {
    let mut sealer = Sealer::new(&keys(Profile::AeadAes128Gcm));
    let mut sealed = Vec::new();
    sealer.seal_rtcp(&[0x80, 201, 0, 0], &mut sealed);
    assert!(sealed.is_empty());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        header_len in 0usize..220,
        index in any::<u64>(),
        aead in any::<bool>(),
    ) {
        let mut opener = Opener::new(&keys(PROFILES[usize::from(aead)]));
        prop_assert!(opener.open_rtcp(&bytes, &mut Vec::new()).is_err());
        prop_assert!(opener.open_rtp(&mut bytes.clone(), header_len, index).is_err());
    }

    #[test]
    fn packets_in_any_near_order_keep_their_index(
        start in 0u64..200_000,
        jumps in proptest::collection::vec(-900i64..2_000, 1..200),
    ) {
        // A stream begins in its first round; later indices follow from what came before.
        let mut window = RolloverWindow::default();
        let mut highest = start % 65_536;
        window.accept(highest);
        for jump in jumps {
            let index = highest.saturating_add_signed(jump);
            prop_assert_eq!(window.estimate(index as u16), index);
            if window.check(index).is_ok() {
                window.accept(index);
                prop_assert_eq!(window.check(index), Err(Drop::SrtpReplay));
            }
            highest = highest.max(index);
            prop_assert_eq!(window.highest(), Some(highest));
        }
    }
}
