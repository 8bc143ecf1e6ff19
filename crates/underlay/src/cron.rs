//! `#[cron]`: what a scheduled handler is. The scheduler that runs them is in `schedule.rs`.

use crate::subscription::HandlerFuture;

/// A cron's handler as the inventory holds it.
pub type CronHandler = fn() -> HandlerFuture;
