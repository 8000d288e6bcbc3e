//! Draws a landscape of sky, sun and hills. Lengths are fractions of the picture's height; colors are linear blends.

use std::f64::consts::TAU;

/// A color with channels from 0 to 1.
type Color = [f64; 3];

/// Number of rows of hills. Row 0 is the farthest.
const HILL_ROWS: u32 = 5;
/// Number of sine waves that are added up to a ridge.
const WAVES: u32 = 4;

/// Colors of zenith, horizon and nearest ground: dawn, dusk, clear day, northern evening, desert, forest.
const PALETTES: [[Color; 3]; 6] = [
    [[0.36, 0.42, 0.69], [1.00, 0.76, 0.62], [0.16, 0.12, 0.24]],
    [[0.16, 0.13, 0.36], [0.98, 0.51, 0.43], [0.09, 0.06, 0.15]],
    [[0.25, 0.55, 0.86], [0.88, 0.95, 0.98], [0.07, 0.22, 0.27]],
    [[0.06, 0.13, 0.29], [0.47, 0.83, 0.78], [0.04, 0.09, 0.16]],
    [[0.47, 0.66, 0.75], [0.99, 0.86, 0.61], [0.36, 0.14, 0.11]],
    [[0.55, 0.73, 0.69], [0.96, 0.94, 0.80], [0.06, 0.19, 0.14]],
];

/// A scene with all its parameters chosen.
#[derive(Debug)]
pub struct Landscape {
    width: u32,
    height: u32,
    zenith: Color,
    horizon: Color,
    sun: Sun,
    hills: Vec<Hill>,
}

#[derive(Debug)]
struct Sun {
    x: f64,
    y: f64,
    radius: f64,
    color: Color,
}

#[derive(Debug)]
struct Hill {
    /// Average distance of the ridge from the top.
    level: f64,
    /// Amplitude, frequency and phase of each wave.
    waves: Vec<[f64; 3]>,
    color: Color,
}

impl Landscape {
    /// Chooses a scene. The same seed and size give the same scene.
    pub fn new(seed: u64, width: u32, height: u32) -> Self {
        let mut random = SplitMix64(seed);
        let aspect = f64::from(width) / f64::from(height);
        let [zenith, horizon, ground] = random.pick(&PALETTES).map(|tone| random.tint(tone));
        let sun = Sun {
            x: random.uniform(0.2, 0.8) * aspect,
            y: random.uniform(0.18, 0.5),
            radius: random.uniform(0.05, 0.1),
            color: random.tint([1.0, 0.92, 0.78]),
        };
        let hills = (0..HILL_ROWS).map(|row| Hill::new(&mut random, row, horizon, ground)).collect();
        Self { width, height, zenith, horizon, sun, hills }
    }

    /// Returns 8-bit RGB rows. A `phase` from 0 to 1 moves the hills through one loop of the animation; near hills move
    /// farther than distant ones.
    pub fn draw(&self, phase: f64) -> Vec<u8> {
        let unit = 1.0 / f64::from(self.height);
        let ridges: Vec<Vec<f64>> = self.hills.iter().map(|hill| hill.ridge(self.width, unit, phase)).collect();
        let mut pixels = Vec::new();
        for row in 0..self.height {
            let y = (f64::from(row) + 0.5) * unit;
            for column in 0..self.width {
                let mut pixel = self.sky((f64::from(column) + 0.5) * unit, y);
                for (hill, ridge) in self.hills.iter().zip(&ridges) {
                    let top = usize::try_from(column).ok().and_then(|column| ridge.get(column)).copied();
                    hill.cover(&mut pixel, y, top.unwrap_or(1.0), unit);
                }
                pixels.extend(pixel.map(|channel| (channel.clamp(0.0, 1.0) * 255.0).round() as u8));
            }
        }
        pixels
    }

    fn sky(&self, x: f64, y: f64) -> Color {
        let sky = blend(self.zenith, self.horizon, (y * 1.5).clamp(0.0, 1.0).powf(0.9));
        let distance = (x - self.sun.x).hypot(y - self.sun.y);
        let glow = 0.75 * (-distance / (self.sun.radius * 2.5)).exp();
        let disc = ((self.sun.radius - distance) * f64::from(self.height) + 0.5).clamp(0.0, 1.0);
        blend(sky, self.sun.color, glow.max(disc))
    }
}

impl Hill {
    fn new(random: &mut SplitMix64, row: u32, far: Color, near: Color) -> Self {
        let depth = f64::from(row + 1) / f64::from(HILL_ROWS);
        let wave = |number: u32| {
            let frequency = random.uniform(0.7, 1.3) * f64::from(1 << number);
            [0.09 / f64::from(1 << number), frequency.round().max(1.0), random.uniform(0.0, TAU)]
        };
        let waves = (0..WAVES).map(wave).collect();
        Self { level: 0.45 + 0.4 * depth, waves, color: blend(far, near, depth.powf(0.7)) }
    }

    /// Returns the ridge's distance from the top, for each column.
    fn ridge(&self, width: u32, unit: f64, phase: f64) -> Vec<f64> {
        let height = |x: f64| {
            let wave = |[amplitude, frequency, start]: &[f64; 3]| {
                amplitude * (x * frequency * 4.0 + start + phase * TAU * (self.level * 4.0).floor()).sin()
            };
            self.level - self.waves.iter().map(wave).sum::<f64>()
        };
        (0..width).map(|column| height((f64::from(column) + 0.5) * unit)).collect()
    }

    /// Paints the hill over a pixel at `y`, with a soft edge and with mist that grows toward its foot.
    fn cover(&self, pixel: &mut Color, y: f64, top: f64, unit: f64) {
        let coverage = ((y - top) / unit + 0.5).clamp(0.0, 1.0);
        if coverage > 0.0 {
            let mist = 0.22 * ((y - top) * 4.0).clamp(0.0, 1.0);
            *pixel = blend(*pixel, blend(self.color, [0.95, 0.93, 0.9], mist), coverage);
        }
    }
}

/// The SplitMix64 pseudo-random generator.
struct SplitMix64(u64);

impl SplitMix64 {
    /// Returns a number from `low` to `high`.
    fn uniform(&mut self, low: f64, high: f64) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        low + (high - low) * (bits >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns one of the palettes.
    fn pick(&mut self, palettes: &[[Color; 3]; 6]) -> [Color; 3] {
        let index = self.uniform(0.0, palettes.len() as f64) as usize;
        palettes.get(index).copied().unwrap_or_default()
    }

    /// Returns a slightly different color.
    fn tint(&mut self, color: Color) -> Color {
        color.map(|channel| (channel * self.uniform(0.86, 1.12)).min(1.0))
    }
}

fn blend(from: Color, to: Color, share: f64) -> Color {
    let [[a, b, c], [x, y, z]] = [from, to];
    [a + (x - a) * share, b + (y - b) * share, c + (z - c) * share]
}
