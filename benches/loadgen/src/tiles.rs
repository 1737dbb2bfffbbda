//! What a person looks at: whose pictures there are, and which of them are on the page that is open.

use serde_json::{Value, json};

use crate::scenario::Watch;

/// The pictures of a call, as one of its people sees them.
pub(crate) struct Tiles {
    watch: Watch,
    /// Oneself, who is not shown.
    own: String,
    /// In the order in which they came.
    pictures: Vec<Picture>,
    page: usize,
}

#[derive(Debug, PartialEq, Eq)]
struct Picture {
    participant: String,
    track: String,
    is_screen: bool,
}

impl Tiles {
    /// The call as the answer to an offer tells it.
    pub(crate) fn new(watch: Watch, answer: &Value) -> Self {
        let own = text(&answer["participantId"]);
        let mut tiles = Self { watch, own, pictures: Vec::new(), page: 0 };
        answer["participants"].as_array().into_iter().flatten().for_each(|it| {
            tiles.came(it);
        });
        tiles
    }

    /// A frame of the server. True when what there is to see has changed by it.
    pub(crate) fn take(&mut self, frame: &Value) -> bool {
        match frame["type"].as_str() {
            Some("call.participant") => self.came(&frame["data"]["participant"]),
            Some("call.participant_left") => {
                let (left, before) = (text(&frame["data"]["participantId"]), self.pictures.len());
                self.pictures.retain(|picture| picture.participant != left);
                self.pictures.len() != before
            }
            _ => false,
        }
    }

    /// Somebody is there, with these tracks and no others.
    fn came(&mut self, participant: &Value) -> bool {
        let who = text(&participant["participantId"]);
        if who == self.own {
            return false;
        }
        let picture = |track: &Value| {
            let is_screen = track["source"] == "screen";
            let track_id = text(&track["trackId"]);
            (is_screen || track["source"] == "camera").then(|| Picture {
                participant: who.clone(),
                track: track_id,
                is_screen,
            })
        };
        let now: Vec<Picture> = participant["tracks"].as_array().into_iter().flatten().filter_map(picture).collect();
        let before: Vec<&Picture> = self.pictures.iter().filter(|it| it.participant == who).collect();
        if now.iter().eq(before) {
            return false;
        }
        self.pictures.retain(|picture| picture.participant != who);
        self.pictures.extend(now);
        true
    }

    /// Turns the page; the last one is followed by the first.
    pub(crate) fn turn(&mut self) {
        self.page += 1;
    }

    /// What a `view` says: screens, then the page's cameras. `None` where nobody says anything.
    pub(crate) fn view(&self) -> Option<Value> {
        if self.watch.tile_width == 0 || self.watch.video_slots == 0 {
            return None;
        }
        let tile = |picture: &Picture, width: u32| json!({"trackId": picture.track, "width": width, "visible": true});
        let screens = self.pictures.iter().filter(|picture| picture.is_screen);
        let mut shown: Vec<Value> = screens.map(|it| tile(it, self.watch.screen_width)).collect();
        shown.truncate(self.watch.video_slots);
        let room = self.watch.video_slots - shown.len();
        let cameras: Vec<&Picture> = self.pictures.iter().filter(|picture| !picture.is_screen).collect();
        let pages: Vec<&[&Picture]> = cameras.chunks(room.max(1)).collect();
        if room > 0 && !pages.is_empty() {
            shown.extend(pages[self.page % pages.len()].iter().map(|it| tile(it, self.watch.tile_width)));
        }
        Some(Value::Array(shown))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str, sources: &[&str]) -> Value {
        let track = |source: &&str| json!({"trackId": format!("{name}/{source}"), "source": source});
        json!({"participantId": name, "tracks": sources.iter().map(track).collect::<Vec<_>>()})
    }

    fn shown(tiles: &Tiles) -> Vec<String> {
        tiles.view().unwrap().as_array().unwrap().iter().map(|tile| text(&tile["trackId"])).collect()
    }

    #[test]
    fn screens_come_first_and_cameras_come_in_pages() {
        let watch = Watch { video_slots: 3, tile_width: 180, ..Watch::default() };
        let people = [person("me", &["camera"]), person("ada", &["microphone", "camera"]), person("bob", &["camera"])];
        let mut tiles = Tiles::new(watch, &json!({"participantId": "me", "participants": people}));
        assert_eq!(shown(&tiles), ["ada/camera", "bob/camera"]);
        let eve = person("eve", &["camera", "screen"]);
        assert!(tiles.take(&json!({"type": "call.participant", "data": {"participant": eve}})));
        assert!(!tiles.take(&json!({"type": "call.participant", "data": {"participant": eve}})), "nothing new");
        assert_eq!(shown(&tiles), ["eve/screen", "ada/camera", "bob/camera"]);
        tiles.turn();
        assert_eq!(shown(&tiles), ["eve/screen", "eve/camera"]);
        tiles.turn();
        assert_eq!(shown(&tiles), ["eve/screen", "ada/camera", "bob/camera"]);
        assert!(tiles.take(&json!({"type": "call.participant_left", "data": {"participantId": "eve"}})));
        assert_eq!(tiles.view().unwrap()[0]["width"], 180);
    }

    #[test]
    fn who_has_no_tiles_says_nothing() {
        let nothing = json!({"participantId": "me", "participants": []});
        assert!(Tiles::new(Watch { tile_width: 0, ..Watch::default() }, &nothing).view().is_none());
        assert_eq!(Tiles::new(Watch { tile_width: 90, ..Watch::default() }, &nothing).view().unwrap(), json!([]));
    }
}
