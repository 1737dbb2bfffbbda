//! What a composed file shows, as a filter graph of ffmpeg (pure: it reads and writes nothing).
//!
//! Nothing that anybody wrote stands in the graph or on the command line: names come from files with names of ours.

use std::fmt::Write as _;

use crate::domain::{UserId, recording::FileKind};
use crate::recording::speakers::Span;

/// The picture's width and height, in pixels.
pub(super) const WIDTH: u32 = 1280;
/// See [`WIDTH`].
pub(super) const HEIGHT: u32 = 720;
/// Pictures a second.
const RATE: u32 = 25;
/// The border of whoever speaks, in pixels.
pub(super) const BORDER: u32 = 6;
/// Between two files of one person in the same tile, at least; less is a second tab.
const GAP_MS: i64 = -500;
/// The file of commands that mark who speaks.
pub(super) const COMMANDS: &str = "speakers.txt";
/// The font's name in the folder of a job.
pub(super) const FONT: &str = "font.ttf";

/// A file that goes into the composed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Input {
    /// Whose.
    pub(super) user: Option<UserId>,
    /// What is in it.
    pub(super) kind: FileKind,
    /// Its beginning on the recording's clock.
    pub(super) starts_at_ms: i64,
    /// How long it plays.
    pub(super) duration_ms: i64,
    /// Whether there is a picture.
    pub(super) has_video: bool,
}

impl Input {
    fn ends_at_ms(&self) -> i64 {
        self.starts_at_ms + self.duration_ms
    }
}

/// A place in the grid and the inputs that are shown in it, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    /// Whose.
    pub(super) user: Option<UserId>,
    /// Screen or person.
    pub(super) kind: FileKind,
    /// The inputs, by number.
    pub(super) inputs: Vec<usize>,
    /// Where, in pixels.
    pub(super) area: Area,
}

/// A rectangle, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// The tiles of these inputs: screens first, then people, each in the order in which they came.
pub(super) fn tiles(inputs: &[Input]) -> Vec<Tile> {
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    order.sort_by_key(|n| (inputs[*n].kind != FileKind::Screen, inputs[*n].starts_at_ms));
    let mut tiles: Vec<Tile> = Vec::new();
    for n in order {
        let input = &inputs[n];
        // Whoever left and came back is shown where they were.
        let fits = |tile: &&mut Tile| {
            let last = tile.inputs.last().map_or(i64::MIN, |last| inputs[*last].ends_at_ms());
            tile.user.is_some()
                && tile.user == input.user
                && tile.kind == input.kind
                && input.starts_at_ms - last > GAP_MS
        };
        match tiles.iter_mut().find(fits) {
            Some(tile) => tile.inputs.push(n),
            None => {
                let area = Area::default();
                tiles.push(Tile { user: input.user, kind: input.kind, inputs: vec![n], area });
            }
        }
    }
    let count = u32::try_from(tiles.len()).unwrap_or(u32::MAX).max(1);
    let columns = (1..=count).find(|columns| columns * columns >= count).unwrap_or(1);
    let rows = count.div_ceil(columns);
    for (n, tile) in (0..).zip(&mut tiles) {
        // Even numbers: the picture's colours are half as wide and high.
        let (width, height) = ((WIDTH / columns) & !1, (HEIGHT / rows) & !1);
        tile.area = Area { x: n % columns * width, y: n / columns * height, width, height };
    }
    tiles
}

/// The recording's length, in milliseconds.
pub(super) fn total_ms(inputs: &[Input]) -> i64 {
    inputs.iter().map(Input::ends_at_ms).max().unwrap_or_default().max(1)
}

/// The name of the file that holds a tile's label.
pub(super) fn label_file(tile: usize) -> String {
    format!("name-{tile}.txt")
}

/// The filter graph of the picture. Its output is `[picture]`; what comes in are the inputs, in their order.
pub(super) fn graph(inputs: &[Input], tiles: &[Tile], with_names: bool) -> String {
    let mut graph = String::new();
    let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
    let total = seconds(total_ms(inputs));
    write!(graph, "color=c=0x101216:s={WIDTH}x{HEIGHT}:r={RATE}:d={total}[base0]").expect(NEVER);
    let mut layer = 0;
    for tile in tiles {
        let Area { x, y, width, height } = tile.area;
        for input in tile.inputs.iter().filter(|n| inputs[**n].has_video) {
            let offset = seconds(inputs[*input].starts_at_ms.max(0));
            let next = layer + 1;
            write!(
                graph,
                ";[{input}:v:0]setpts=PTS+{offset}/TB,scale={width}:{height}:force_original_aspect_ratio=decrease,\
                 pad={width}:{height}:(ow-iw)/2:(oh-ih)/2:0x101216,setsar=1[tile{input}];\
                 [base{layer}][tile{input}]overlay={x}:{y}:eof_action=pass:repeatlast=0[base{next}]"
            )
            .expect(NEVER);
            layer = next;
        }
    }
    write!(graph, ";[base{layer}]sendcmd=f={COMMANDS}").expect(NEVER);
    for (n, tile) in tiles.iter().enumerate() {
        let Area { x, y, width, height } = tile.area;
        if tile.kind == FileKind::Participant {
            // The name is what the commands call it by.
            write!(graph, ",drawbox@{}={x}:{y}:{width}:{height}:0x4ade80:t={BORDER}:enable=0", box_name(n))
                .expect(NEVER);
        }
        if with_names {
            let size = (height / 12).clamp(12, 28);
            let (left, top) = (x + BORDER + 4, y + height - size - BORDER - 10);
            let from = tile.inputs.first().map_or(0, |n| inputs[*n].starts_at_ms);
            let to = tile.inputs.last().map_or(0, |n| inputs[*n].ends_at_ms());
            write!(
                graph,
                ",drawtext=fontfile={FONT}:textfile={}:expansion=none:x={left}:y={top}:fontsize={size}:fontcolor=white:\
                 box=1:boxcolor=black@0.6:boxborderw=4:enable='between(t,{},{})'",
                label_file(n),
                seconds(from.max(0)),
                seconds(to.max(0))
            )
            .expect(NEVER);
        }
    }
    graph.push_str(",format=yuv420p[picture]");
    graph
}

/// The commands that show the border of whoever speaks, in the order of time.
pub(super) fn commands(tiles: &[Tile], spans: &[Span]) -> String {
    let mut commands = String::new();
    for span in spans.iter().filter(|span| span.to_ms > span.from_ms && span.from_ms >= 0) {
        let speaking =
            |tile: &&(usize, &Tile)| tile.1.kind == FileKind::Participant && tile.1.user == Some(span.user_id);
        for (n, _) in tiles.iter().enumerate().filter(|tile| speaking(&tile)) {
            let [from, to] = [span.from_ms, span.to_ms].map(|ms| format!("{}.{:03}", ms / 1000, ms % 1000));
            let name = box_name(n);
            writeln!(commands, "{from}-{to} [enter] drawbox@{name} enable 1, [leave] drawbox@{name} enable 0;")
                .expect(NEVER);
        }
    }
    if commands.is_empty() {
        // An empty list is no list to ffmpeg.
        commands.push_str("0.0 drawbox@none enable 0;\n");
    }
    commands
}

fn box_name(tile: usize) -> String {
    format!("tile{tile}")
}

const NEVER: &str = "a String takes all text";

#[cfg(test)]
mod tests {
    use super::*;

    fn input(user: u128, kind: FileKind, starts_at_ms: i64, duration_ms: i64) -> Input {
        Input { user: Some(user.into()), kind, starts_at_ms, duration_ms, has_video: true }
    }

    #[test]
    fn tiles_fill_a_grid_and_do_not_overlap() {
        for count in 1..=60_u32 {
            let inputs: Vec<_> = (0..count).map(|n| input(n.into(), FileKind::Participant, 0, 1_000)).collect();
            let tiles = tiles(&inputs);
            assert_eq!(tiles.len(), count as usize);
            let mut corners: Vec<_> = tiles.iter().map(|tile| (tile.area.x, tile.area.y)).collect();
            corners.sort_unstable();
            corners.dedup();
            assert_eq!(corners.len(), tiles.len());
            for Tile { area, .. } in tiles {
                assert!(area.width > 0 && area.height > 0 && area.width % 2 == 0 && area.height % 2 == 0);
                assert!(area.x + area.width <= WIDTH && area.y + area.height <= HEIGHT, "{count}: {area:?}");
                assert!(area.x % area.width == 0 && area.y % area.height == 0);
            }
        }
    }

    #[test]
    fn who_comes_back_is_shown_where_they_were_and_a_second_tab_beside() {
        use FileKind::{Participant, Screen};
        let inputs = [
            input(1, Participant, 0, 5_000),
            input(2, Participant, 100, 9_000),
            input(1, Participant, 6_000, 3_000),
            input(1, Participant, 7_000, 1_000),
            input(2, Screen, 4_000, 1_000),
        ];
        let shown: Vec<_> = tiles(&inputs).into_iter().map(|tile| (tile.kind, tile.inputs)).collect();
        assert_eq!(
            shown,
            [(Screen, vec![4]), (Participant, vec![0, 2]), (Participant, vec![1]), (Participant, vec![3])]
        );
        assert_eq!(total_ms(&inputs), 9_100);
    }

    #[test]
    fn the_graph_of_a_small_call() {
        let voice_alone = Input { has_video: false, ..input(2, FileKind::Participant, 1_250, 8_000) };
        let inputs =
            [input(1, FileKind::Participant, 0, 10_000), voice_alone, input(1, FileKind::Screen, 2_000, 1_000)];
        let tiles = tiles(&inputs);
        insta::assert_snapshot!(graph(&inputs, &tiles, true).replace([';', ','], "\n"));
        let spans = [
            Span { user_id: 1.into(), from_ms: 0, to_ms: 1_500 },
            Span { user_id: 9.into(), from_ms: 2_000, to_ms: 3_000 },
        ];
        assert_eq!(
            commands(&tiles, &spans),
            "0.000-1.500 [enter] drawbox@tile1 enable 1, [leave] drawbox@tile1 enable 0;\n"
        );
    }
}
