//! What to draw, and its encoding as a PNG.

use super::landscape::Landscape;
use crate::catalog::Kind;

/// Frames of the animation that stands for a clip.
const CLIP_FRAMES: u32 = 12;
/// A clip's frames in a second.
const CLIP_FRAMES_PER_SECOND: u16 = 6;

/// What to draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureSpec {
    /// The prompt: different ones make different pictures, the same one the same picture.
    pub prompt: String,
    /// Which of a prediction's outputs, from 1.
    pub number: u64,
    /// `1:1`, `16:9`, `9:16` or anything else, which is square.
    pub aspect_ratio: String,
    /// Picture or clip.
    pub kind: Kind,
}

impl PictureSpec {
    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        match (self.aspect_ratio.as_str(), self.kind) {
            (_, Kind::Video) => (320, 180),
            ("16:9", Kind::Image) => (768, 432),
            ("9:16", Kind::Image) => (432, 768),
            (_, Kind::Image) => (512, 512),
        }
    }

    /// The picture as a PNG; an animated one for a clip. Takes tens of milliseconds.
    ///
    /// # Errors
    /// Those of the encoder, which has none with memory to write to.
    pub fn to_png(&self) -> Result<Vec<u8>, png::EncodingError> {
        let (width, height) = self.size();
        let landscape = Landscape::new(seed(&self.prompt, self.number), width, height);
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        if self.kind == Kind::Video {
            encoder.set_animated(CLIP_FRAMES, 0)?;
            encoder.set_frame_delay(1, CLIP_FRAMES_PER_SECOND)?;
        }
        let mut writer = encoder.write_header()?;
        let frames = if self.kind == Kind::Video { CLIP_FRAMES } else { 1 };
        for frame in 0..frames {
            writer.write_image_data(&landscape.draw(f64::from(frame) / f64::from(CLIP_FRAMES)))?;
        }
        writer.finish()?;
        Ok(bytes)
    }
}

/// FNV-1a over the prompt and the output's number.
fn seed(prompt: &str, number: u64) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = prompt.bytes().chain(number.to_le_bytes());
    bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(prompt: &str, number: u64, kind: Kind) -> PictureSpec {
        PictureSpec { prompt: prompt.to_owned(), number, aspect_ratio: String::new(), kind }
    }

    #[test]
    fn a_prompt_always_makes_its_own_picture() {
        let picture = sketch("a garden", 1, Kind::Image).to_png().unwrap();
        assert_eq!(picture, sketch("a garden", 1, Kind::Image).to_png().unwrap());
        assert_ne!(picture, sketch("a desert", 1, Kind::Image).to_png().unwrap());
        assert_ne!(picture, sketch("a garden", 2, Kind::Image).to_png().unwrap());
    }

    #[test]
    fn a_clip_moves() {
        let clip = sketch("a garden", 1, Kind::Video).to_png().unwrap();
        let reader = png::Decoder::new(std::io::Cursor::new(clip)).read_info().unwrap();
        assert_eq!(reader.info().animation_control.unwrap().num_frames, CLIP_FRAMES);
    }
}
