//! The signals that stop an application.

/// Waits for Ctrl-C or, on Unix, SIGTERM, and says which it was.
#[cfg(unix)]
pub(crate) async fn stop() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};

    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return interrupt().await;
    };
    tokio::select! {
        name = interrupt() => name,
        _ = terminate.recv() => "SIGTERM",
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
pub(crate) async fn stop() -> &'static str {
    interrupt().await
}

async fn interrupt() -> &'static str {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without a handler the signal ends the process by itself, so there is nothing to wait for.
        std::future::pending::<()>().await;
    }
    "Ctrl-C"
}
