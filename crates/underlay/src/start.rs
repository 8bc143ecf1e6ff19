//! Starting.

/// Logs to standard error, unless the application has set up its own subscriber.
pub(crate) fn install_logs() {}
