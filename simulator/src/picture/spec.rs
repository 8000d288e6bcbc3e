//! The description of a picture, and its encoding as a PNG.

use super::landscape::Landscape;
use crate::catalog::Kind;

/// Number of frames in the animation of a clip.
const CLIP_FRAMES: u32 = 12;
/// Frames per second of a clip.
const CLIP_FRAMES_PER_SECOND: u16 = 6;

/// One picture to draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureSpec {
    /// The prompt. The same prompt gives the same picture, different prompts give different ones.
    pub prompt: String,
    /// The number of the output within its prediction, from 1.
    pub number: u64,
    /// `16:9` or `9:16`. Any other ratio gives a square.
    pub aspect_ratio: String,
    /// Picture or clip. A clip is always 320 × 180.
    pub kind: Kind,
}

impl PictureSpec {
    /// Returns width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        match (self.aspect_ratio.as_str(), self.kind) {
            (_, Kind::Video) => (320, 180),
            ("16:9", Kind::Image) => (768, 432),
            ("9:16", Kind::Image) => (432, 768),
            (_, Kind::Image) => (512, 512),
        }
    }

    /// Draws the picture as a PNG, an animated one for a clip. Takes tens of milliseconds.
    ///
    /// # Errors
    /// Those of the encoder, which does not fail when it writes to memory.
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

/// Returns the FNV-1a hash of the prompt and the output's number.
fn seed(prompt: &str, number: u64) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = prompt.bytes().chain(number.to_le_bytes());
    bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(prompt: &str, number: u64, kind: Kind) -> PictureSpec {
        PictureSpec { prompt: prompt.to_owned(), number, aspect_ratio: String::new(), kind }
    }

    #[test]
    fn a_prompt_always_gives_its_own_picture() {
        let picture = spec("a garden", 1, Kind::Image).to_png().unwrap();
        assert_eq!(picture, spec("a garden", 1, Kind::Image).to_png().unwrap());
        assert_ne!(picture, spec("a desert", 1, Kind::Image).to_png().unwrap());
        assert_ne!(picture, spec("a garden", 2, Kind::Image).to_png().unwrap());
    }

    #[test]
    fn a_clip_is_an_animated_png() {
        let clip = spec("a garden", 1, Kind::Video).to_png().unwrap();
        let reader = png::Decoder::new(std::io::Cursor::new(clip)).read_info().unwrap();
        assert_eq!(reader.info().animation_control.unwrap().num_frames, CLIP_FRAMES);
    }
}
