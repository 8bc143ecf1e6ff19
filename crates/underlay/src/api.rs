//! `#[api]`: an axum handler that the application serves.

/// Puts one endpoint on a router.
pub type Register = fn(axum::Router) -> axum::Router;
