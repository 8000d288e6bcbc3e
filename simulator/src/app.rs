//! The state that handlers share: the world behind its lock, and the timers that end predictions.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use crate::clock::now_ms;
use crate::config::SessionConfig;
use crate::credits::Credits;
use crate::gauge::Gauge;
use crate::identity::signing_keys::SigningKeys;
use crate::identity::used_tokens::UsedTokens;
use crate::ids::random_u64;
use crate::prediction::{Prediction, Status};
use crate::recorder::WebhookDelivery;
use crate::webhook;
use crate::world::World;

/// How many times as long a prediction runs when its prompt contains `[slow]`.
const SLOW_FACTOR: u64 = 10;

/// The shared state of all handlers.
pub struct App {
    world: Mutex<World>,
    changes: watch::Sender<u64>,
    /// `http://127.0.0.1:port` of the main port.
    pub base_url: String,
    /// How session tokens are signed; `None` makes `POST /session` respond with 503.
    pub session: Option<SessionConfig>,
    /// The keys that the identity providers sign with.
    pub signing_keys: SigningKeys,
    /// Turnstile tokens that were validated: each is valid once.
    pub used_turnstile_tokens: UsedTokens,
    /// Open connections of the main port.
    pub connections: Gauge,
    /// Open SSE streams.
    pub streams: Gauge,
}

impl App {
    /// Creates the state.
    pub fn new(world: World, base_url: String, session: Option<SessionConfig>) -> Arc<Self> {
        let (changes, _) = watch::channel(0);
        let (connections, streams) = (Gauge::default(), Gauge::default());
        let (signing_keys, used_turnstile_tokens) = (SigningKeys::default(), UsedTokens::default());
        Arc::new(Self {
            world: Mutex::new(world),
            changes,
            base_url,
            session,
            signing_keys,
            used_turnstile_tokens,
            connections,
            streams,
        })
    }

    /// Locks the world. The guard is never held across an `await`.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a receiver that is notified when any prediction ends.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Renders a prediction in the shape of the next response.
    pub fn render(&self, prediction: &Prediction) -> Value {
        let mut world = self.world();
        let shape = world.next_shape();
        let outputs_base = world.settings.outputs_base_url.as_deref().unwrap_or(&self.base_url);
        prediction.to_json(shape, &self.base_url, outputs_base)
    }

    /// Starts the timer that ends a running prediction. Does nothing for one that does not run.
    pub fn run(self: &Arc<Self>, prediction: &Prediction) {
        if prediction.status != Status::Processing {
            return;
        }
        let (number, prompt) = (prediction.number, prediction.spec.prompt());
        let status = if prompt.contains("[fail]") { Status::Failed } else { Status::Succeeded };
        let factor = if prompt.contains("[slow]") { SLOW_FACTOR } else { 1 };
        let app = Arc::clone(self);
        let duration = app.duration(factor);
        tokio::spawn(async move {
            tokio::time::sleep(duration).await;
            let manual = app.world().settings.manual;
            if !manual {
                app.end(number, status, None);
            }
        });
    }

    fn duration(&self, factor: u64) -> Duration {
        let world = self.world();
        let jitter_ms = random_u64() % world.settings.jitter_ms.saturating_add(1);
        Duration::from_millis(world.settings.prediction_ms.saturating_mul(factor).saturating_add(jitter_ms))
    }

    /// Ends a prediction now: notifies its streams, calls its webhook and starts the next queued prediction. Returns
    /// `None` if the prediction is unknown or has ended before.
    pub fn end(self: &Arc<Self>, number: u64, status: Status, credits_used: Option<Credits>) -> Option<Prediction> {
        let ended = self.world().end(number, status, credits_used, now_ms())?;
        self.changes.send_modify(|version| *version += 1);
        if let Some(started) = &ended.started {
            self.run(started);
        }
        if let Some(url) = ended.prediction.spec.webhook.clone() {
            tokio::spawn(Arc::clone(self).call_webhook(url, ended.prediction.clone()));
        }
        Some(ended.prediction)
    }

    /// Posts the prediction, as the API shows it, to `url` once, and records the outcome. The vendor documents no
    /// payload, signature or retry.
    async fn call_webhook(self: Arc<Self>, url: String, prediction: Prediction) {
        let body = self.render(&prediction).to_string();
        let status = webhook::deliver(&url, body).await.map(|status| status.as_u16());
        let delivery = WebhookDelivery { time_ms: now_ms(), id: prediction.id, url, status };
        self.world().recorder.webhooks.push(delivery);
    }
}
