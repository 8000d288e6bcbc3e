//! Pure arithmetic of limits: windows and poll plans. The clock is an argument.

pub mod minute_window;
pub mod poll_plan;
pub mod request_window;
