//! How much of what is lost comes back in time, and at what price: one publisher and its watchers, 200 ms of round trip and heavy
//! loss on both legs.

use std::time::Duration;

use parlor_media::{Config, View};

use crate::network::Line;
use crate::world::{Offer, World};

/// A frame that is whole so much later than it would be without loss is whole in time: the jitter buffer of a browser on a bad line.
const IN_TIME: Duration = Duration::from_secs(1);
const ONE_WAY: Duration = Duration::from_millis(100);

/// What became of the frames.
#[derive(Debug, Default, Clone, Copy)]
pub struct Recovery {
    pub frames: u64,
    pub in_time: u64,
    /// Packets lost and sent again, from the publisher to the server.
    pub lost_up: u64,
    pub resent_up: u64,
    /// The same from the server to its receivers.
    pub lost_down: u64,
    pub resent_down: u64,
}

impl Recovery {
    pub fn complete_pct(&self) -> f64 {
        100.0 * self.in_time as f64 / self.frames.max(1) as f64
    }

    /// The worse of both legs.
    pub fn retransmit_ratio(&self) -> f64 {
        let ratio = |resent: u64, lost: u64| resent as f64 / lost.max(1) as f64;
        ratio(self.resent_up, self.lost_up).max(ratio(self.resent_down, self.lost_down))
    }

    pub fn add(&mut self, other: &Recovery) {
        self.frames += other.frames;
        self.in_time += other.in_time;
        self.lost_up += other.lost_up;
        self.resent_up += other.resent_up;
        self.lost_down += other.lost_down;
        self.resent_down += other.resent_down;
    }
}

/// Ten packets of a hundred are lost: each by itself, or in bursts of three on average.
pub fn lossy(bursts: bool) -> Line {
    let mut line = Line::clean();
    (line.delay, line.spares_control) = (ONE_WAY, true);
    if bursts {
        (line.burst_pm, line.burst_len) = (37, 3);
    } else {
        line.loss_pm = 100;
    }
    line
}

/// A publisher of so many layers, and three watchers of different widths, for so long. Who sends how much is not asked here: the
/// estimator is off, and every layer flows whatever is lost.
pub fn run(seed: u64, layers: usize, bursts: bool, time: Duration) -> Recovery {
    let mut world = World::new(seed, Config { estimation: false, ..Config::default() });
    world.keeps_frames = true;
    let from = world.join(0, Offer { layers, screen: false, video_slots: 1 });
    let watchers: Vec<usize> = [300, 640, 1_280]
        .into_iter()
        .map(|width| {
            let place = world.join(0, Offer { layers: 1, screen: false, video_slots: 2 });
            world.guests[place].encoder.camera = false;
            let track = world.guests[from].tracks[1];
            world.view(place, vec![View { track, width, visible: true }]);
            place
        })
        .collect();
    // Everybody is there and sees before the loss begins.
    world.run(Duration::from_secs(3));
    for guest in &mut world.guests {
        (guest.up, guest.down) = (lossy(bursts), lossy(bursts));
        guest.lost = [0; 2];
        guest.resent = 0;
        for law in guest.laws.values_mut() {
            law.resent = 0;
        }
    }
    let begun = world.now;
    world.run(time);
    account(&world, from, &watchers, begun)
}

fn account(world: &World, from: usize, watchers: &[usize], begun: std::time::Instant) -> Recovery {
    let publisher = &world.guests[from];
    let mut recovery = Recovery { lost_up: publisher.lost[0], resent_up: publisher.resent, ..Recovery::default() };
    for place in watchers {
        let guest = &world.guests[*place];
        recovery.lost_down += guest.lost[1];
        for (ssrc, law) in guest.laws.iter().filter(|(_, law)| law.is_video) {
            recovery.resent_down += law.resent;
            let receiver = &guest.receivers[ssrc];
            for (name, (at, first, parts)) in &publisher.published {
                if *at < begun + Duration::from_millis(500) || *at + IN_TIME + 4 * ONE_WAY > world.now {
                    continue;
                }
                // Frames that were forwarded, and those that might have been, had they not been lost on their way to the server.
                let came = (0..*parts).any(|part| world.arrived.has(world.now, name.0, first + u32::from(part)));
                let flows = law.spans.iter().any(|(stream, span)| *stream == name.0 && span.contains(&name.1));
                if !flows || (came && !law.frames.contains(name)) {
                    continue;
                }
                recovery.frames += 1;
                let whole_at = receiver.frames.get(name).and_then(|frame| frame.whole_at);
                recovery.in_time += u64::from(whole_at.is_some_and(|whole_at| whole_at <= *at + 2 * ONE_WAY + IN_TIME));
            }
        }
    }
    recovery
}
