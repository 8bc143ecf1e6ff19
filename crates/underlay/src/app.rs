//! The application: what the user adds to what the attributes declared, and its life from start to exit.

use std::net::SocketAddr;

use axum::Router;

use crate::Result;
use crate::signal::Stop;
use crate::start::{self, Running};

/// An application: everything that is declared in the binary, and a router of its own.
///
/// # Example
///
/// ```no_run
/// use underlay::axum::{Router, routing::get};
///
/// #[underlay::main]
/// async fn main() -> underlay::Result<()> {
///     let router = Router::new().route("/hello", get(async || "hello"));
///     underlay::App::new().router(router).run().await
/// }
/// ```
#[derive(Debug, Default)]
pub struct App {
    router: Router,
    listen: Option<SocketAddr>,
}

impl App {
    /// An application with nothing besides what is declared.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves the routes of an axum router beside the declared endpoints.
    #[must_use]
    pub fn router(mut self, router: Router) -> Self {
        self.router = self.router.merge(router);
        self
    }

    /// Listens here, instead of where `UNDERLAY_LISTEN` or `PORT` say, or the first free port from 4000.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = Some(address);
        self
    }

    /// Starts the application and serves until SIGTERM or Ctrl-C, then drains and stops.
    ///
    /// # Errors
    ///
    /// Everything that keeps it from starting, in one error that lists all problems.
    pub async fn run(self) -> Result<()> {
        // Before the start, which may take long: whoever stops the application then shall not have to wait for it.
        let mut stop = Stop::listen()?;
        tokio::select! {
            running = self.start() => running?.serve_until(stop).await,
            signal = stop.next() => {
                tracing::info!(target: "underlay", "{signal}: stopping before the start was done");
                Ok(())
            }
        }
    }

    /// Starts the application and its server, and returns while it serves.
    ///
    /// # Errors
    ///
    /// Everything that keeps it from starting, in one error that lists all problems.
    pub async fn start(self) -> Result<Running> {
        start::start(Some((self.router, self.listen))).await
    }
}

/// Starts the application with what is declared, and serves until SIGTERM or Ctrl-C: `App::new().run()`.
///
/// # Errors
///
/// Everything that keeps it from starting, in one error that lists all problems.
pub async fn run() -> Result<()> {
    App::new().run().await
}

/// Binds the statics and starts the subscriptions, without a server: for an application that has its own.
///
/// # Errors
///
/// Everything that keeps it from starting, in one error that lists all problems.
///
/// # Example
///
/// ```no_run
/// # async fn example() -> underlay::Result<()> {
/// let underlay = underlay::start().await?;
/// // … serve as before …
/// underlay.shutdown().await
/// # }
/// ```
pub async fn start() -> Result<Running> {
    start::start(None).await
}
