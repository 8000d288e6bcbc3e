//! Arithmetic of limits: windows and poll intervals. The clock is an argument.

pub mod alert_limiter;
pub mod alert_relay;
pub mod bad_tokens;
pub mod foreign_ids;
pub mod key_leak;
pub mod lane_forecast;
pub mod minute_window;
pub mod poll_plan;
mod request_blocks;
pub mod request_window;
pub mod seconds;
pub mod unusual_spend;
pub mod webhook_limiter;
