//! The version of the Worker that this isolate runs, from the binding `CF_VERSION_METADATA`:
//! <https://developers.cloudflare.com/workers/runtime-apis/bindings/version-metadata/>.

use js_sys::Reflect;
use serde_json::{Value, json};
use wasm_bindgen::JsValue;
use worker::Env;

use crate::cloudflare::runtime::platform;

/// A version of the Worker.
#[derive(Default)]
pub struct Version {
    /// The platform's id. `None` without the binding.
    pub id: Option<String>,
    /// The tag that its deployment was given.
    pub tag: Option<String>,
}

impl Version {
    /// Reads the version that runs.
    pub fn of(env: &Env) -> Self {
        let Ok(metadata) = platform::binding(env, "CF_VERSION_METADATA") else { return Self::default() };
        let text = |name: &str| {
            let value = Reflect::get(&metadata, &JsValue::from_str(name)).ok()?;
            value.as_string().filter(|text| !text.is_empty())
        };
        Self { id: text("id"), tag: text("tag") }
    }

    /// Returns it as the operator's API shows it.
    pub fn render(&self) -> Value {
        json!({"id": self.id, "tag": self.tag})
    }
}
