//! What handlers share: the world behind its lock, and the timers that end predictions.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use crate::clock::now_ms;
use crate::config::SessionConfig;
use crate::connection::Gauge;
use crate::credits::Credits;
use crate::identity::{Keys, Spent};
use crate::ids::random_u64;
use crate::prediction::{Prediction, Status};
use crate::webhook;
use crate::world::World;

/// How much longer a prompt with `[slow]` takes.
const SLOW_FACTOR: u64 = 10;

/// The shared state of all handlers.
pub struct App {
    world: Mutex<World>,
    changes: watch::Sender<u64>,
    /// `http://127.0.0.1:port` of the main port.
    pub base_url: String,
    /// How session tokens are signed.
    pub session: Option<SessionConfig>,
    /// What the identity providers sign with.
    pub keys: Keys,
    /// Visitors' Turnstile tokens that were used.
    pub spent_guests: Spent,
    /// Open connections of the main port.
    pub connections: Gauge,
    /// Open SSE streams.
    pub streams: Gauge,
}

impl App {
    /// A new state.
    pub fn new(world: World, base_url: String, session: Option<SessionConfig>) -> Arc<Self> {
        let (changes, _) = watch::channel(0);
        let (connections, streams) = (Gauge::default(), Gauge::default());
        let (keys, spent_guests) = (Keys::default(), Spent::default());
        Arc::new(Self {
            world: Mutex::new(world),
            changes,
            base_url,
            session,
            keys,
            spent_guests,
            connections,
            streams,
        })
    }

    /// The world. Never held across an `await`.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports every change of any prediction.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The prediction in the shape that is due.
    pub fn render(&self, prediction: &Prediction) -> Value {
        let mut world = self.world();
        let shape = world.next_shape();
        let outputs_base = world.settings.outputs_base_url.as_deref().unwrap_or(&self.base_url);
        prediction.to_json(shape, &self.base_url, outputs_base)
    }

    /// Lets a prediction that runs end in time.
    pub fn run(self: &Arc<Self>, prediction: &Prediction) {
        if prediction.status != Status::Processing {
            return;
        }
        let (number, prompt) = (prediction.number, prediction.order.prompt());
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

    /// Ends a prediction now, tells those who wait for it, and starts the next; `None` if it is unknown or ended.
    pub fn end(self: &Arc<Self>, number: u64, status: Status, credits_used: Option<Credits>) -> Option<Prediction> {
        let ended = self.world().end(number, status, credits_used, now_ms())?;
        self.changes.send_modify(|version| *version += 1);
        if let Some(started) = &ended.started {
            self.run(started);
        }
        if let Some(url) = ended.prediction.order.webhook.clone() {
            tokio::spawn(webhook::report(Arc::clone(self), url, ended.prediction.clone()));
        }
        Some(ended.prediction)
    }
}
