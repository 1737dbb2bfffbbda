//! What another shard, or one day another node, can send over a link.

use std::time::Duration;

use parlor_media::{Input, Output};

use super::{CALL, Scene};

/// Length of a batch's head.
const HEAD_LEN: usize = 30;

/// Batches, each with a kind, a length (16 bits) and that many bytes: as they are, or behind a head that fits, from a few shards. The
/// first byte says whether the shard has the call's hub. Whatever comes, the call's own people go on, and nothing is left in the end.
pub fn relay(data: &[u8]) {
    let Some((first, mut rest)) = data.split_first() else { return };
    let mut scene = Scene::connected();
    if first & 1 == 1 {
        scene.shard.relay_from(CALL, 1);
        scene.shard.rest();
    }
    scene.publish(1);
    // More batches find no more: they only make each try slow.
    for number in 0..32u32 {
        let [kind, high, low, tail @ ..] = rest else { break };
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (body, tail) = tail.split_at(len);
        rest = tail;
        let from = 1 + (kind >> 6);
        let mut batch = Vec::new();
        if kind & 1 == 0 {
            batch.resize(HEAD_LEN, 0);
            batch[0] = 1;
            batch[2..18].copy_from_slice(&CALL.0.to_be_bytes());
            batch[21] = 7;
            batch[26..30].copy_from_slice(&number.to_be_bytes());
        }
        batch.extend_from_slice(body);
        scene.shard.handle(scene.now, Input::Relay { from, bytes: &batch });
        let mut said = 0;
        while let Some(output) = scene.shard.poll() {
            if let Output::Relay(relay) = output {
                assert!(relay.bytes.len() >= HEAD_LEN && relay.to < 64, "a batch has a head and somebody it is for");
            }
            said += 1;
            assert!(said < 65_536, "the shard never has enough");
        }
        if kind & 2 != 0 {
            scene.later(Duration::from_millis(300));
            scene.turn();
        }
        if kind & 4 != 0 {
            scene.publish(1);
        }
    }
    // Links that are silent are over.
    for _ in 0..30 {
        scene.later(Duration::from_millis(300));
        scene.turn();
    }
    scene.shard.leave(super::PUBLISHER);
    scene.shard.leave(super::VIEWER);
    for _ in 0..30 {
        scene.later(Duration::from_millis(300));
        scene.turn();
    }
    let left = scene.shard.holdings();
    assert_eq!(left.places, 0, "{left:?}");
}
