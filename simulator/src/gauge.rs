//! Gauges: how many connections or streams are open now, and the most that ever were.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A count of open things and its maximum. Clones share the same count.
#[derive(Clone, Debug, Default)]
pub struct Gauge {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    open: AtomicU64,
    max: AtomicU64,
}

/// Counts as one open thing until it is dropped.
#[derive(Debug)]
pub struct GaugeGuard(Arc<Counts>);

impl Gauge {
    /// Adds one open thing.
    pub fn open(&self) -> GaugeGuard {
        let open = self.counts.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.counts.max.fetch_max(open, Ordering::SeqCst);
        GaugeGuard(Arc::clone(&self.counts))
    }

    /// Returns the number that is open now, and the maximum.
    pub fn read(&self) -> (u64, u64) {
        (self.counts.open.load(Ordering::SeqCst), self.counts.max.load(Ordering::SeqCst))
    }

    /// Resets the maximum to the number that is open now.
    pub fn reset_max(&self) {
        self.counts.max.store(self.counts.open.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}
