//! A picture of any size becomes the model's input: squashed as a whole to a square, two taps a direction, corners on corners.
//!
//! This is `resizeBilinear` of tfjs with `alignCorners = true`, which nsfwjs calls. It reads at most four pixels for each of the
//! input's, however large the picture is; a smoother way to shrink moves probabilities by up to 0.48, because the model was never
//! asked about smooth pictures.

use super::decode::Picture;

/// Pixels of a side of the model's input.
pub(super) const SIDE: usize = 224;
/// Values of the model's input: red, green and blue planes (NCHW), each 0 to 1.
pub(super) const INPUT: usize = 3 * SIDE * SIDE;

/// Squashes pictures, and keeps what it worked out for the last size: a track's frames mostly have the same.
pub(super) struct Squash {
    size: (usize, usize),
    columns: Vec<Tap>,
    rows: Vec<Tap>,
    // A row and the one below it have different places here, so that a row that is needed again is still there.
    lines: [Line; 2],
}

/// Between which two pixels of the picture one of the input's lies.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tap {
    low: usize,
    high: usize,
    /// How far from the low one, 0 to 1.
    fraction: f32,
}

/// One row of the picture, squashed to the input's width: a plane for each colour, values 0 to 255.
struct Line {
    row: Option<usize>,
    values: Vec<f32>,
}

impl Squash {
    pub(super) fn new() -> Self {
        let line = || Line { row: None, values: vec![0.0; 3 * SIDE] };
        Self { size: (0, 0), columns: Vec::new(), rows: Vec::new(), lines: [line(), line()] }
    }

    /// Writes the picture into the input, which has [`INPUT`] values.
    pub(super) fn squash(&mut self, picture: &Picture, input: &mut [f32]) {
        if self.size != (picture.width, picture.height) {
            self.size = (picture.width, picture.height);
            self.columns = taps(picture.width);
            self.rows = taps(picture.height);
        }
        self.lines.iter_mut().for_each(|line| line.row = None);
        let (red, rest) = input.split_at_mut(SIDE * SIDE);
        let (green, blue) = rest.split_at_mut(SIDE * SIDE);
        for (y, tap) in self.rows.iter().enumerate() {
            for row in [tap.low, tap.high] {
                self.lines[row % 2].fill(row, picture, &self.columns);
            }
            let (low, high) = (&self.lines[tap.low % 2].values, &self.lines[tap.high % 2].values);
            let outs = [&mut *red, &mut *green, &mut *blue].map(|plane| &mut plane[y * SIDE..][..SIDE]);
            for (out, (low, high)) in outs.into_iter().zip(low.chunks_exact(SIDE).zip(high.chunks_exact(SIDE))) {
                for (out, (low, high)) in out.iter_mut().zip(low.iter().zip(high)) {
                    *out = (low + (high - low) * tap.fraction) * (1.0 / 255.0);
                }
            }
        }
    }
}

impl Line {
    fn fill(&mut self, row: usize, picture: &Picture, columns: &[Tap]) {
        if self.row.replace(row) == Some(row) {
            return;
        }
        let pixels = &picture.rgb[row * picture.width * 3..][..picture.width * 3];
        let (red, rest) = self.values.split_at_mut(SIDE);
        let (green, blue) = rest.split_at_mut(SIDE);
        for (tap, (red, (green, blue))) in columns.iter().zip(red.iter_mut().zip(green.iter_mut().zip(blue))) {
            let (low, high) = (&pixels[tap.low * 3..][..3], &pixels[tap.high * 3..][..3]);
            let between = |low: u8, high: u8| {
                let low = f32::from(low);
                low + (f32::from(high) - low) * tap.fraction
            };
            *red = between(low[0], high[0]);
            *green = between(low[1], high[1]);
            *blue = between(low[2], high[2]);
        }
    }
}

/// Where the input's pixels lie in a row or column of so many. The first lies on the first, the last on the last.
fn taps(pixels: usize) -> Vec<Tap> {
    let last = pixels - 1;
    let step = last as f64 / (SIDE - 1) as f64;
    let tap = |i: usize| {
        let at = i as f64 * step;
        let low = (at.floor() as usize).min(last);
        let high = (at.ceil() as usize).min(last);
        Tap { low, high, fraction: (at - low as f64) as f32 }
    };
    (0..SIDE).map(tap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squashed(width: usize, height: usize, pixel: impl Fn(usize, usize) -> [u8; 3]) -> Vec<f32> {
        let rgb = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y)).collect();
        let mut input = vec![f32::NAN; INPUT];
        Squash::new().squash(&Picture { width, height, rgb }, &mut input);
        input
    }

    #[test]
    fn corners_lie_on_corners() {
        let ramp = |x: usize, y: usize| [(x * 40) as u8, (y * 60) as u8, 255];
        let input = squashed(6, 4, ramp);
        let at = |plane: usize, x: usize, y: usize| (input[plane * SIDE * SIDE + y * SIDE + x] * 255.0).round();
        let last = SIDE - 1;
        assert_eq!([at(0, 0, 0), at(0, last, 0), at(0, 0, last), at(0, last, last)], [0.0, 200.0, 0.0, 200.0]);
        assert_eq!([at(1, 0, 0), at(1, last, 0), at(1, 0, last), at(1, last, last)], [0.0, 0.0, 180.0, 180.0]);
        assert!((0..SIDE).all(|i| at(2, i, last - i) == 255.0));
        // A straight ramp stays straight.
        let wanted = |x: usize| (x as f64 * 200.0 / last as f64).round() as f32;
        assert!((0..SIDE).all(|x| (at(0, x, 99) - wanted(x)).abs() <= 1.0));
    }

    #[test]
    fn the_models_own_size_stays_as_it_is() {
        let noise = |x: usize, y: usize| [(x * 7 + y * 13) as u8, (x * y) as u8, (x ^ y) as u8];
        let input = squashed(SIDE, SIDE, noise);
        for (x, y) in [(0, 0), (1, 0), (223, 223), (17, 201)] {
            for (plane, value) in noise(x, y).into_iter().enumerate() {
                let seen = input[plane * SIDE * SIDE + y * SIDE + x];
                assert!((seen - f32::from(value) / 255.0).abs() < 1e-6, "{x},{y}: {seen}");
            }
        }
    }

    #[test]
    fn one_pixel_is_enough_and_one_squash_serves_many_sizes() {
        let input = squashed(1, 1, |_, _| [51, 102, 153]);
        for (plane, wanted) in input.chunks_exact(SIDE * SIDE).zip([0.2, 0.4, 0.6]) {
            assert!(plane.iter().all(|value: &f32| (value - wanted).abs() < 1e-6));
        }
        let mut squash = Squash::new();
        for (width, height) in [(1, 1), (3, 500), (500, 3), (640, 360), (1, 9)] {
            let mut input = vec![f32::NAN; INPUT];
            squash.squash(&Picture { width, height, rgb: vec![51; width * height * 3] }, &mut input);
            assert!(input.iter().all(|value| (value - 0.2).abs() < 1e-6), "{width}×{height}");
        }
    }
}
