//! Harmless pictures, made by formula: gradients, noise, shapes, drawings. And their VP8 and H.264 key frames, made by ffmpeg.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// A picture's colour at a point; both coordinates are in units of its height.
pub(super) type Recipe = fn(f32, f32) -> [u8; 3];

/// By name.
pub(super) const RECIPES: [(&str, Recipe); 14] = [
    ("black", |_, _| [0, 0, 0]),
    ("gradient", gradient),
    ("dusk", |x, y| [at(0.9 - y * 0.7), at(0.4 + x * 0.1 - y * 0.3), at(0.3 + y * 0.3)]),
    ("spotlight", |x, y| [at(1.2 - 1.6 * (x - 0.9).hypot(y - 0.5)); 3]),
    ("waves", |x, y| [at(0.5 + 0.5 * (x * 9.0).sin() * (y * 7.0).cos()), at(0.5 + 0.4 * (x * y * 8.0).sin()), 120]),
    ("noise", |x, y| [grain(x, y, 150.0), grain(y, x, 150.0), grain(x + 3.0, y, 150.0)]),
    ("blocks", |x, y| [grain(x, y, 9.0), grain(y, x, 9.0), grain(x + 3.0, y, 9.0)]),
    ("chequers", chequers),
    ("stripes", |x, y| if (((x + y) * 14.0) as u32).is_multiple_of(3) { [200, 30, 40] } else { [250, 250, 250] }),
    ("rings", |x, y| [at(0.5 + 0.5 * (60.0 * (x - 0.8).hypot(y - 0.4)).sin()), 90, 160]),
    ("writing", writing),
    ("hills", hills),
    ("balloons", balloons),
    ("drawing", drawing),
];

/// Sharp squares, which the classifier does not take for a drawing. (Black, and most that is smooth and dark, it does.)
pub(super) fn chequers(x: f32, y: f32) -> [u8; 3] {
    if ((x * 10.0) as u32 + (y * 10.0) as u32).is_multiple_of(2) { [240, 240, 230] } else { [20, 60, 30] }
}

/// A smooth gradient with a little grain, as of a camera in the dark.
fn gradient(x: f32, y: f32) -> [u8; 3] {
    let grain = f32::from(grain(x, y, 360.0)) / 255.0 * 0.04;
    [at(0.15 + 0.3 * x + grain), at(0.2 + 0.2 * y + grain), at(0.25 + 0.1 * (x + y) + grain)]
}

/// A cartoon face with dark outlines: the classifier sees a drawing and hardly anything else.
pub(super) fn drawing(x: f32, y: f32) -> [u8; 3] {
    let (skin, hair, white, black) = ([255, 255, 255], [70, 179, 126], [255, 255, 255], [0, 0, 0]);
    let mut colour = [232, 213, 255];
    let mut paint = |fill, cx: f32, cy: f32, rx: f32, ry: f32| {
        let away = (((x - 0.89 - cx) / rx).hypot((y - cy) / ry) - 1.0) * rx.min(ry);
        match away {
            ..-0.006 => colour = fill,
            ..0.006 => colour = [68, 51, 34],
            _ => {}
        }
    };
    paint(hair, 0.0, 0.37, 0.28, 0.37);
    paint([176, 48, 96], 0.0, 0.9, 0.37, 0.29);
    paint(skin, 0.0, 0.42, 0.2, 0.26);
    for side in [-1.0, 1.0] {
        paint(white, side * 0.093, 0.405, 0.054, 0.074);
        paint(black, side * 0.093, 0.415, 0.039, 0.059);
        paint(white, side * 0.08, 0.385, 0.015, 0.02);
    }
    paint([170, 60, 70], 0.0, 0.57, 0.045, 0.012);
    // The fringe, in spikes.
    let (from_middle, spike) = ((x - 0.89).abs(), ((x - 0.89) * 13.6).fract().abs());
    let edge = 0.2 + 0.12 * (spike - 0.5).abs() * 2.0;
    let fringe = edge - y;
    let inside = (from_middle / 0.22).hypot((y - 0.38) / 0.3) < 1.0;
    match fringe {
        0.008.. if inside => hair,
        -0.004.. if inside => [68, 51, 34],
        _ => colour,
    }
}

/// Flat balloons with outlines before a sky.
fn balloons(x: f32, y: f32) -> [u8; 3] {
    let mut colour = [150, 200, 245];
    for (i, fill) in [[230, 70, 70], [250, 210, 60], [90, 190, 90], [120, 90, 200]].into_iter().enumerate() {
        let (cx, cy) = (0.25 + 0.4 * i as f32, if i % 2 == 0 { 0.35 } else { 0.5 });
        match (x - cx).hypot(y - cy) {
            ..0.17 => colour = fill,
            ..0.185 => colour = [30, 30, 30],
            _ if (x - cx).abs() < 0.006 && y > cy => colour = [60, 60, 60],
            _ => {}
        }
    }
    colour
}

/// Sky, sun and two hills in flat colours.
fn hills(x: f32, y: f32) -> [u8; 3] {
    if y > 0.75 + 0.12 * (x * 3.0 + 1.0).sin() {
        [60, 140, 60]
    } else if y > 0.6 + 0.1 * (x * 4.0).sin() {
        [100, 170, 90]
    } else if (x - 1.4).hypot(y - 0.22) < 0.12 {
        [255, 220, 90]
    } else {
        [150, 200, 245]
    }
}

/// Grey lines of something like words on paper.
fn writing(x: f32, y: f32) -> [u8; 3] {
    let (line, word) = ((y * 16.0) as u32, (x * 11.0) as u32);
    let inked = line % 2 == 1 && grain(word as f32, line as f32, 1.0) > 60 && !((x * 90.0) as u32).is_multiple_of(3);
    if inked { [50, 50, 60] } else { [250, 248, 240] }
}

fn at(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0) as u8
}

/// A random value for each cell; so many of them lie along the height.
fn grain(x: f32, y: f32, cells: f32) -> u8 {
    let cell = (x * cells) as u32 ^ ((y * cells) as u32).wrapping_mul(0x9e37_79b9);
    (cell.wrapping_mul(0x85eb_ca6b).rotate_left(13).wrapping_mul(0xc2b2_ae35) >> 24) as u8
}

/// One VP8 key frame for each picture, all of one size.
pub(super) fn vp8_key_frames(width: u32, height: u32, recipes: &[Recipe]) -> Vec<Vec<u8>> {
    let ivf = encoded(width, height, recipes, &["-c:v", "libvpx", "-b:v", "1M", "-g", "1", "-f", "ivf"]);
    let frames = frames_of_ivf(&ivf);
    assert_eq!(frames.len(), recipes.len());
    assert!(frames.iter().all(|frame| frame[0] & 1 == 0), "ffmpeg made frames that are no key frames");
    frames
}

/// One H.264 key frame in Annex B form.
pub(super) fn h264_key_frame(width: u32, height: u32, recipe: Recipe) -> Vec<u8> {
    let plain = ["-c:v", "libx264", "-profile:v", "baseline", "-bsf:v", "filter_units=remove_types=6", "-f", "h264"];
    encoded(width, height, &[recipe], &plain)
}

/// VP8 frames of which only the first is a key frame.
pub(super) fn vp8_frames(width: u32, height: u32, recipes: &[Recipe]) -> Vec<Vec<u8>> {
    frames_of_ivf(&encoded(width, height, recipes, &["-c:v", "libvpx", "-g", "99", "-f", "ivf"]))
}

fn encoded(width: u32, height: u32, recipes: &[Recipe], how: &[&str]) -> Vec<u8> {
    let size = format!("{width}x{height}");
    let mut ffmpeg = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", &size, "-r", "5", "-i", "pipe:0"])
        .args(["-pix_fmt", "yuv420p"])
        .args(how)
        .arg("pipe:1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program ffmpeg (Debian package ffmpeg)");
    let mut stdin = ffmpeg.stdin.take().unwrap();
    let pictures: Vec<Vec<u8>> = recipes.iter().map(|recipe| drawn(width, height, *recipe)).collect();
    let writing = std::thread::spawn(move || pictures.iter().try_for_each(|rgb| stdin.write_all(rgb)));
    let output = ffmpeg.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success(), "ffmpeg failed");
    output.stdout
}

fn drawn(width: u32, height: u32, recipe: Recipe) -> Vec<u8> {
    let scale = 1.0 / height as f32;
    let row = |y: u32| (0..width).flat_map(move |x| recipe(x as f32 * scale, y as f32 * scale));
    (0..height).flat_map(row).collect()
}

/// A header of 32 bytes; then each frame behind its length and 8 bytes of time.
fn frames_of_ivf(ivf: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &ivf[32..];
    let mut frames = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<12>() {
        let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        frames.push(tail[..len].to_vec());
        rest = &tail[len..];
    }
    frames
}
