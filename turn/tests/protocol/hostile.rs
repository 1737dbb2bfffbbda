//! Nothing that comes from the network makes the server panic, or say something that is no STUN.

use parlor_turn::message::{Message, Method};
use parlor_turn::server::Action;
use parlor_turn::{Frames, MAX_FRAME_BYTES};
use proptest::prelude::*;

use crate::scene::{Caller, REQUESTED_TRANSPORT, Scene, channel_data};

fn relayed() -> (Scene, Caller) {
    let mut scene = Scene::new();
    let mut ada = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    ada.allocate(&mut scene).succeeded();
    ada.bind(&mut scene, 0x4000, "8.8.8.8:4000").succeeded();
    (scene, ada)
}

/// Whatever comes, what goes is well formed, and goes to peers that are allowed.
fn take(scene: &mut Scene, ada: &Caller, bytes: &[u8]) {
    let mut action = scene.server.handle(scene.now, ada.at, bytes);
    loop {
        match action {
            Some(Action::Answer(answer)) => {
                assert!(Message::read(answer).is_ok() && answer.len() <= bytes.len() + 200, "{answer:02x?}");
                return;
            }
            Some(Action::Relay { to, payload, .. }) => {
                assert!(to == "8.8.8.8:4000".parse().unwrap() || to.ip().to_string() == "8.8.8.8");
                assert!(payload.len() <= bytes.len());
                return;
            }
            Some(Action::Open { allocation, .. }) => action = scene.server.opened(scene.now, allocation, true),
            None => return,
        }
    }
}

/// Every request, well formed and signed.
fn requests(ada: &mut Caller) -> Vec<Vec<u8>> {
    let peer = ada.xored("8.8.8.8:4000");
    vec![
        ada.write(Method::CreatePermission, &[(0x0012, &peer)]),
        ada.write(Method::Allocate, &[(REQUESTED_TRANSPORT, &[17, 0, 0, 0]), (0x0017, &[1, 0, 0, 0])]),
        ada.write(Method::Refresh, &[(0x000D, &[0, 0, 3, 0])]),
        ada.write(Method::ChannelBind, &[(0x000C, &[0x40, 1, 0, 0]), (0x0012, &peer)]),
        ada.indication("8.8.8.8:4000", b"some data"),
        channel_data(0x4000, b"some more"),
    ]
}

#[test]
fn every_truncation_is_dropped_or_refused() {
    let (mut scene, mut ada) = relayed();
    for request in requests(&mut ada) {
        for len in 0..request.len() {
            take(&mut scene, &ada, &request[..len]);
        }
        for lie in [0_u16, 3, 4, 20, 0x7FFC, 0xFFFC, 0xFFFF] {
            for at in (2..request.len() - 1).step_by(2) {
                let mut lying = request.clone();
                lying[at..at + 2].copy_from_slice(&lie.to_be_bytes());
                take(&mut scene, &ada, &lying);
            }
        }
    }
    assert_eq!(scene.counts().allocations, 1, "a signed request that is changed does nothing");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let (mut scene, ada) = relayed();
        take(&mut scene, &ada, &bytes);
        let mut stun = bytes.clone();
        if let [a, b, c, d, e, f, g, h, ..] = &mut stun[..] {
            let len = (bytes.len() as u16).saturating_sub(20);
            [*a, *c, *d] = [*a & 0x3F, (len >> 8) as u8, len as u8];
            [*b, *e, *f, *g, *h] = [*b, 0x21, 0x12, 0xA4, 0x42];
        }
        take(&mut scene, &ada, &stun);
    }

    #[test]
    fn changed_requests_are_survived(which in 0..6_usize, at in any::<prop::sample::Index>(), to: u8, cut in 0..8_usize) {
        let (mut scene, mut ada) = relayed();
        let mut bytes = requests(&mut ada).swap_remove(which);
        let place = at.index(bytes.len());
        bytes[place] = to;
        bytes.truncate(bytes.len() - cut);
        take(&mut scene, &ada, &bytes);
    }

    #[test]
    fn streams_of_noise_are_survived(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20)) {
        let mut frames = Frames::default();
        let mut held = 0;
        'stream: for piece in &pieces {
            frames.push(piece);
            held += piece.len();
            loop {
                match frames.next_frame() {
                    Ok(Some(frame)) => {
                        prop_assert!(frame.len() <= MAX_FRAME_BYTES);
                        held -= frame.len();
                    }
                    Ok(None) => break,
                    Err(_) => break 'stream,
                }
            }
            prop_assert!(held <= MAX_FRAME_BYTES + 300 * 20);
        }
    }
}
