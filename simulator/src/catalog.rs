//! The models that the vendor offers.

use serde_json::{Value, json};

use crate::credits::Credits;

/// The media type of a model's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A PNG.
    Image,
    /// A video clip, for which the simulator returns an animated PNG.
    Video,
}

/// One model.
#[derive(Debug)]
pub struct Model {
    /// `black-forest-labs`.
    pub owner: &'static str,
    /// `flux-kontext-max`.
    pub name: &'static str,
    /// The kind of its outputs.
    pub kind: Kind,
    /// The price of one output.
    pub credits: Credits,
}

impl Model {
    /// Returns `owner/name`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// Renders the model for `GET /models`. The vendor documents no fields; these are the obvious ones.
    pub fn to_json(&self) -> Value {
        let output = match self.kind {
            Kind::Image => "image",
            Kind::Video => "video",
        };
        json!({
            "id": self.full_name(),
            "owner": self.owner,
            "name": self.name,
            "output": output,
            "credits": self.credits,
            "input": {
                "prompt": {"type": "string", "required": true},
                "input_image": {"type": "string"},
                "aspect_ratio": {"type": "string", "enum": ASPECT_RATIOS, "default": "match_input_image"},
            },
        })
    }
}

/// The aspect ratios that a model accepts.
pub const ASPECT_RATIOS: [&str; 4] = ["1:1", "16:9", "9:16", "match_input_image"];

/// All models. The first is the one in the vendor's documentation; the prices are micro-credits for one output.
pub static MODELS: [Model; 4] = [
    model("black-forest-labs", "flux-kontext-max", Kind::Image, 2_500_000),
    model("black-forest-labs", "flux-schnell", Kind::Image, 300_000),
    model("acme", "model-x", Kind::Image, 1_000_000),
    model("acme", "clip-maker", Kind::Video, 12_000_000),
];

/// Returns the model named `owner/name`.
pub fn find(owner: &str, name: &str) -> Option<&'static Model> {
    MODELS.iter().find(|model| model.owner == owner && model.name == name)
}

/// Returns the model with this full name (`owner/name`) or bare name (`name`).
pub fn find_by_id(id: &str) -> Option<&'static Model> {
    match id.split_once('/') {
        Some((owner, name)) => find(owner, name),
        None => MODELS.iter().find(|model| model.name == id),
    }
}

const fn model(owner: &'static str, name: &'static str, kind: Kind, micros: u64) -> Model {
    Model { owner, name, kind, credits: Credits::from_micros(micros) }
}
