//! What `entry.js` calls, besides the two classes of objects.

use worker::{Env, ScheduleContext, ScheduledEvent, event};

use super::objects::client::tick_dispatcher;

/// The cron trigger of each minute: an alarm can be lost, and this finds it (docs/architecture.md, alarms).
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    tick_dispatcher(&env).await;
}
