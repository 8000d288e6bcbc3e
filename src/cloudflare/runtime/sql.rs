//! The SQLite storage of a Durable Object, and its alarm.

use serde::de::DeserializeOwned;
use serde_json::Value;
use wasm_bindgen::prelude::*;

use crate::cloudflare::runtime::platform::PlatformError;
use crate::types::time::UnixMillis;

mod js {
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen(raw_module = "../../src/cloudflare/runtime/platform.js")]
    extern "C" {
        #[wasm_bindgen(catch, js_name = sqlRows)]
        pub fn sql_rows(sql: &JsValue, statement: &str, parameters: &str) -> Result<String, JsValue>;
        #[wasm_bindgen(catch, js_name = sqlTransaction)]
        pub fn sql_transaction(storage: &JsValue, statements: &str) -> Result<(), JsValue>;
        #[wasm_bindgen(js_name = flush)]
        pub fn flush(storage: &JsValue) -> js_sys::Promise;
        #[wasm_bindgen(js_name = setAlarm)]
        pub fn set_alarm(storage: &JsValue, at: f64);
    }
}

/// The SQLite storage of a Durable Object.
#[derive(Clone, Debug)]
pub struct Sql {
    storage: JsValue,
    sql: JsValue,
}

impl Sql {
    /// Opens the storage of a Durable Object.
    pub fn new(state: &worker::State) -> Result<Self, PlatformError> {
        let storage: JsValue = state.storage().as_raw().into();
        let sql = js_sys::Reflect::get(&storage, &JsValue::from_str("sql"))?;
        Ok(Self { storage, sql })
    }

    /// Runs a statement and reads its rows. Parameters are integers below 2^53, texts and nulls.
    pub fn rows<T: DeserializeOwned>(&self, statement: &str, parameters: &[Value]) -> Result<Vec<T>, PlatformError> {
        let parameters = serde_json::to_string(parameters).map_err(|_| PlatformError)?;
        let rows = js::sql_rows(&self.sql, statement, &parameters)?;
        serde_json::from_str(&rows).map_err(|_| PlatformError)
    }

    /// Runs statements in one transaction: all or none.
    pub fn transaction(&self, statements: &[Statement]) -> Result<(), PlatformError> {
        if statements.is_empty() {
            return Ok(());
        }
        let statements = serde_json::to_string(statements).map_err(|_| PlatformError)?;
        Ok(js::sql_transaction(&self.storage, &statements)?)
    }

    /// Waits until everything that was written is durable. Fails if it cannot be stored; then the platform ends the object.
    pub async fn flush(&self) -> Result<(), PlatformError> {
        wasm_bindgen_futures::JsFuture::from(js::flush(&self.storage)).await?;
        Ok(())
    }

    /// Arms the object's alarm for `at`. Replaces an armed alarm.
    pub fn set_alarm(&self, at: UnixMillis) {
        // Milliseconds are far below 2^53.
        #[allow(clippy::as_conversions, clippy::cast_precision_loss, reason = "exact below 2^53")]
        js::set_alarm(&self.storage, at.0 as f64);
    }
}

/// A row with its key, selected as `id`, and a document.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Doc {
    /// The key.
    pub id: String,
    /// JSON.
    pub doc: String,
}

/// A statement with its parameters: a JSON array, as `platform.js` takes it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Statement(Vec<Value>);

impl Statement {
    /// Returns the statement `sql` with its parameters in order.
    pub fn new(sql: &str, parameters: impl IntoIterator<Item = Value>) -> Self {
        Self(std::iter::once(Value::from(sql)).chain(parameters).collect())
    }
}
