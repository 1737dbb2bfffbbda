//! What a run does, as a file says it: who is there, what they send, what they look at, and over what kind of line.
//!
//! `docs/loadgen.md` is the prose to it. A file that cannot be meant names the key that is wrong.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

/// The scenarios that come with the program, by name.
pub(crate) const BUILT_IN: [(&str, &str); 5] = [
    ("meeting-50", include_str!("../scenarios/meeting-50.toml")),
    ("broadcast-N", include_str!("../scenarios/broadcast-N.toml")),
    ("audio-room", include_str!("../scenarios/audio-room.toml")),
    ("churn", include_str!("../scenarios/churn.toml")),
    ("lossy", include_str!("../scenarios/lossy.toml")),
];

/// Rooms and people that one run may have: each cheap peer takes two file descriptors here and one in the server.
const MOST_ROOMS: usize = 1000;
const MOST_PEOPLE: usize = 8000;
/// A browser's answer lists hardly more.
const MOST_SLOTS: usize = 64;
/// The server takes as many from a publisher.
const MOST_LAYERS: usize = 3;
/// Descriptor, frame header and the time of sending: a payload of a picture has at least these.
const LEAST_PAYLOAD_BYTES: usize = 24;
/// What fits into a datagram of Ethernet, with all headers.
const MOST_PAYLOAD_BYTES: usize = 1200;
const MOST_PACKETS_PER_S: f64 = 20_000.0;

/// A scenario file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// A sentence for people.
    pub about: String,
    /// How long it is measured, once everybody is there.
    #[serde(default = "half_a_minute")]
    pub duration_s: f64,
    pub people: People,
    pub microphone: Option<Microphone>,
    pub camera: Option<Pictures>,
    pub screen: Option<Pictures>,
    #[serde(default)]
    pub watch: Watch,
    pub churn: Option<Churn>,
    #[serde(default)]
    pub road: Road,
}

/// Who stays from the beginning to the end, in each room.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct People {
    #[serde(default = "one")]
    pub rooms: usize,
    /// Peer connections of the `webrtc` crate.
    #[serde(default)]
    pub real: usize,
    /// The media core's own client: it counts packets by their headers and opens a few.
    #[serde(default)]
    pub cheap: usize,
}

/// Opus that looks like speech and silence.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Microphone {
    /// How many of a room's people have one that is on, the first to come; all of them when it is left out.
    pub publishers: Option<usize>,
    /// Mean length of speech and of silence between. A silence of 0 never ends the speech.
    #[serde(default = "three_seconds_ms")]
    pub speech_ms: u64,
    #[serde(default)]
    pub silence_ms: u64,
    /// In silence a packet comes every 400 ms instead of every 20.
    #[serde(default)]
    pub dtx: bool,
}

/// VP8 that looks like a camera or a screen.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pictures {
    /// How many of a room's people send, the first to come; all of them when it is left out.
    pub publishers: Option<usize>,
    pub frames_per_s: f64,
    /// Simulcast layers, lowest first; one is a stream without layers.
    pub layers: Vec<Layer>,
}

/// One simulcast layer.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layer {
    pub packets_per_s: f64,
    pub payload_bytes: usize,
}

/// What everybody receives.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Watch {
    pub audio_slots: usize,
    pub video_slots: usize,
    /// Pixels of a camera's tile; 0 sends no `view`, and the server chooses.
    pub tile_width: u32,
    /// Pixels of a screen's.
    pub screen_width: u32,
    /// Where there are more tiles than slots, the page is turned this often. 0 stays on the first one.
    pub page_every_s: f64,
    /// Of a hundred packets that a cheap peer gets, so many are decrypted.
    pub open_percent: f64,
}

/// People who come and go besides.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Churn {
    /// In each room.
    pub joins_per_s: f64,
    pub stay_s: f64,
    /// They send what the others send.
    #[serde(default)]
    pub publish: bool,
}

/// Every peer's line, in each direction.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Road {
    pub loss_percent: f64,
    pub delay_ms: u64,
}

fn half_a_minute() -> f64 {
    30.0
}

fn one() -> usize {
    1
}

fn three_seconds_ms() -> u64 {
    3000
}

impl Default for Watch {
    fn default() -> Self {
        Self { audio_slots: 4, video_slots: 9, tile_width: 0, screen_width: 1280, page_every_s: 0.0, open_percent: 1.0 }
    }
}

impl Scenario {
    /// The file of that name, or the scenario that comes with the program. `broadcast-500` is `broadcast-N` with 500 who watch.
    ///
    /// # Errors
    /// In sentences: no such scenario, or what is wrong with it.
    pub(crate) fn find(name: &str) -> anyhow::Result<Self> {
        if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            return Self::parse(text);
        }
        if let Some((text, count)) = numbered(name) {
            let mut scenario = Self::parse(text)?;
            let senders = scenario.camera.as_ref().and_then(|camera| camera.publishers).unwrap_or(0);
            scenario.set_participants(count + senders)?;
            return Ok(scenario);
        }
        let path = Path::new(name);
        if !path.is_file() {
            let names: Vec<&str> = BUILT_IN.iter().map(|(known, _)| *known).collect();
            bail!("There is no file {name}, and no scenario of that name; there are {}.", names.join(", "));
        }
        let text = std::fs::read_to_string(path).with_context(|| format!("{name} cannot be read"))?;
        Self::parse(&text).with_context(|| format!("{name} is no scenario"))
    }

    /// A scenario from its text.
    ///
    /// # Errors
    /// Names the line of what is not understood, or the key of what cannot be meant.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let scenario: Self = toml::from_str(text)?;
        scenario.check()?;
        Ok(scenario)
    }

    /// People of each room who stay.
    pub(crate) fn participants(&self) -> usize {
        self.people.real + self.people.cheap
    }

    /// So many people in each room; the real ones stay what they are, as far as there is room for them.
    pub(crate) fn set_participants(&mut self, count: usize) -> anyhow::Result<()> {
        self.people.real = self.people.real.min(count);
        self.people.cheap = count - self.people.real;
        self.check()
    }

    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.duration_s)
    }

    /// Visitors of all rooms together, over the whole run.
    pub(crate) fn visitors(&self) -> usize {
        let each = self.churn.map_or(0.0, |churn| (churn.joins_per_s * self.duration_s).ceil());
        each as usize * self.people.rooms
    }

    /// What cannot be meant, by its key.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        between("duration_s", self.duration_s, 1.0, 86_400.0)?;
        between("people.rooms", self.people.rooms as f64, 1.0, MOST_ROOMS as f64)?;
        ensure!(self.participants() > 0, "people.real and people.cheap: a room needs somebody in it");
        let people = self.people.rooms * self.participants() + self.visitors();
        ensure!(people <= MOST_PEOPLE, "people: {people} of them, visitors included, are more than {MOST_PEOPLE}");
        if let Some(microphone) = &self.microphone {
            self.check_publishers("microphone", microphone.publishers)?;
            between("microphone.speech_ms", microphone.speech_ms as f64, 20.0, 3_600_000.0)?;
            between("microphone.silence_ms", microphone.silence_ms as f64, 0.0, 3_600_000.0)?;
        }
        for (key, pictures) in [("camera", &self.camera), ("screen", &self.screen)] {
            if let Some(pictures) = pictures {
                self.check_publishers(key, pictures.publishers)?;
                pictures.check(key)?;
            }
        }
        self.check_watch()?;
        if let Some(churn) = &self.churn {
            between("churn.joins_per_s", churn.joins_per_s, 0.01, 1000.0)?;
            between("churn.stay_s", churn.stay_s, 0.1, 86_400.0)?;
        }
        between("road.loss_percent", self.road.loss_percent, 0.0, 50.0)?;
        between("road.delay_ms", self.road.delay_ms as f64, 0.0, 2000.0)
    }

    fn check_publishers(&self, key: &str, publishers: Option<usize>) -> anyhow::Result<()> {
        let people = self.participants();
        let wanted = publishers.unwrap_or(people);
        ensure!(wanted <= people, "{key}.publishers: {wanted} is more than the {people} people of a room");
        Ok(())
    }

    fn check_watch(&self) -> anyhow::Result<()> {
        let watch = &self.watch;
        between("watch.audio_slots", watch.audio_slots as f64, 0.0, MOST_SLOTS as f64)?;
        between("watch.video_slots", watch.video_slots as f64, 0.0, MOST_SLOTS as f64)?;
        between("watch.tile_width", f64::from(watch.tile_width), 0.0, 8192.0)?;
        between("watch.screen_width", f64::from(watch.screen_width), 1.0, 8192.0)?;
        between("watch.open_percent", watch.open_percent, 0.01, 100.0)?;
        ensure!(
            watch.page_every_s == 0.0 || watch.page_every_s >= 0.5,
            "watch.page_every_s: {} is neither 0 nor at least half a second",
            watch.page_every_s
        );
        Ok(())
    }
}

impl Road {
    pub(crate) fn is_perfect(&self) -> bool {
        self.loss_percent == 0.0 && self.delay_ms == 0
    }
}

impl Pictures {
    fn check(&self, key: &str) -> anyhow::Result<()> {
        between(&format!("{key}.frames_per_s"), self.frames_per_s, 0.1, 240.0)?;
        between(&format!("{key}.layers"), self.layers.len() as f64, 1.0, MOST_LAYERS as f64)
            .context("one to three layers can be sent")?;
        for (at, layer) in self.layers.iter().enumerate() {
            let key = format!("{key}.layers[{at}]");
            between(&format!("{key}.packets_per_s"), layer.packets_per_s, self.frames_per_s, MOST_PACKETS_PER_S)
                .context("a frame has at least one packet")?;
            let (least, most) = (LEAST_PAYLOAD_BYTES as f64, MOST_PAYLOAD_BYTES as f64);
            between(&format!("{key}.payload_bytes"), layer.payload_bytes as f64, least, most)?;
        }
        Ok(())
    }
}

fn between(key: &str, value: f64, least: f64, most: f64) -> anyhow::Result<()> {
    ensure!((least..=most).contains(&value), "{key}: {value} does not lie between {least} and {most}");
    Ok(())
}

/// `NAME-12` as the built-in `NAME-N`, and the number.
fn numbered(name: &str) -> Option<(&'static str, usize)> {
    let (stem, count) = name.rsplit_once('-')?;
    let count = count.parse().ok()?;
    let (_, text) = BUILT_IN.iter().find(|(known, _)| known.strip_suffix("-N") == Some(stem))?;
    Some((text, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "about = 'small'\n[people]\ncheap = 3\n";

    fn refusal(text: &str) -> String {
        format!("{:#}", Scenario::parse(text).unwrap_err())
    }

    #[test]
    fn those_that_come_with_the_program_are_sound() {
        for (name, _) in BUILT_IN {
            let scenario = Scenario::find(name).unwrap();
            assert!(!scenario.about.is_empty(), "{name}");
        }
        let meeting = Scenario::find("meeting-50").unwrap();
        assert_eq!(meeting.participants(), 50);
        assert_eq!(meeting.camera.unwrap().layers.len(), 3);
        assert_eq!((meeting.watch.audio_slots, meeting.watch.video_slots), (4, 25));
        let road = Scenario::find("lossy").unwrap().road;
        assert!((road.loss_percent, road.delay_ms) == (2.0, 50));
    }

    #[test]
    fn a_number_takes_the_place_of_n() {
        let broadcast = Scenario::find("broadcast-2000").unwrap();
        assert_eq!(broadcast.participants(), 2001, "one sends, the others watch");
        assert!(format!("{:#}", Scenario::find("broadcast-many").unwrap_err()).contains("audio-room"));
        assert!(format!("{:#}", Scenario::find("broadcast-9000").unwrap_err()).contains("more than 8000"));
    }

    #[test]
    fn a_small_file_is_enough() {
        let scenario = Scenario::parse(SMALL).unwrap();
        assert_eq!((scenario.participants(), scenario.visitors()), (3, 0));
        assert_eq!(scenario.duration(), Duration::from_secs(30));
        assert_eq!(scenario.watch.video_slots, 9);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("[people]\ncheap = 3\n", "about"),
            ("about = 'x'\n", "people"),
            ("about = 'x'\n[people]\ncheep = 3\n", "cheep"),
            ("about = 'x'\n[people]\ncheap = 'three'\n", "three"),
            ("about = 'x'\n[people]\n", "people.cheap"),
            ("about = 'x'\nduration_s = 0\n[people]\ncheap = 3\n", "duration_s: 0"),
            ("about = 'x'\n[people]\ncheap = 3\nrooms = 0\n", "people.rooms: 0"),
            ("about = 'x'\n[people]\ncheap = 900\nrooms = 10\n", "people: 9000"),
        ];
        for (text, wanted) in cases {
            assert!(refusal(text).contains(wanted), "{text}: {}", refusal(text));
        }
        let more = [
            ("[microphone]\npublishers = 4\n", "microphone.publishers: 4"),
            ("[microphone]\nspeech_ms = 1\n", "microphone.speech_ms: 1"),
            ("[camera]\nframes_per_s = 30\nlayers = []\n", "camera.layers: 0"),
            (
                "[camera]\nframes_per_s = 0\nlayers = [{packets_per_s = 1, payload_bytes = 99}]\n",
                "camera.frames_per_s: 0",
            ),
            (
                "[camera]\nframes_per_s = 30\nlayers = [{packets_per_s = 20, payload_bytes = 99}]\n",
                "camera.layers[0].packets_per_s: 20",
            ),
            (
                "[screen]\nframes_per_s = 3\nlayers = [{packets_per_s = 20, payload_bytes = 1300}]\n",
                "screen.layers[0].payload_bytes: 1300",
            ),
            ("[watch]\nopen_percent = 0\n", "watch.open_percent: 0"),
            ("[watch]\nvideo_slots = 100\n", "watch.video_slots: 100"),
            ("[watch]\npage_every_s = 0.1\n", "watch.page_every_s: 0.1"),
            ("[churn]\njoins_per_s = 0\nstay_s = 1\n", "churn.joins_per_s: 0"),
            ("[churn]\njoins_per_s = 1\n", "stay_s"),
            ("[road]\nloss_percent = 90\n", "road.loss_percent: 90"),
            ("[road]\ndelay = 90\n", "delay"),
        ];
        for (text, wanted) in more {
            let text = format!("{SMALL}{text}");
            assert!(refusal(&text).contains(wanted), "{text}: {}", refusal(&text));
        }
    }

    #[test]
    fn those_who_come_and_go_are_counted() {
        let text = format!("{SMALL}rooms = 2\n[churn]\njoins_per_s = 0.5\nstay_s = 1\n");
        assert_eq!(Scenario::parse(&text).unwrap().visitors(), 30);
    }
}
