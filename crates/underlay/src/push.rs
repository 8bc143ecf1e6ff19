//! Messages that a broker pushes over HTTP: which subscription each URL feeds.
//!
//! Who may push and what is in a request is the backend's to say; this file only routes.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use futures_util::future::BoxFuture;

/// The path under which brokers push; the subscription's push id follows.
pub(crate) const PATH: &str = "/__underlay/pubsub/push";
/// A message of Google's largest size, in base64 with what is around it.
const MAX_BODY_BYTES: usize = 15 << 20;

/// What answers a pushed message: from the `Authorization` header and the body to an HTTP status.
pub(crate) type Push = Arc<dyn Fn(Option<String>, Bytes) -> BoxFuture<'static, u16> + Send + Sync>;
/// By the id in the URL.
pub(crate) type Pushes = BTreeMap<String, Push>;

/// The routes of pushed subscriptions; none if there are none.
pub(crate) fn router(pushes: Pushes) -> Router {
    if pushes.is_empty() {
        return Router::new();
    }
    Router::new()
        .route(&format!("{PATH}/{{id}}"), post(receive))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Arc::new(pushes))
}

async fn receive(
    State(pushes): State<Arc<Pushes>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let Some(push) = pushes.get(&id) else {
        tracing::warn!(target: "underlay", id, "a message was pushed to a subscription that is not configured");
        return StatusCode::NOT_FOUND;
    };
    let authorization = headers.get(header::AUTHORIZATION);
    let authorization = authorization.and_then(|it| it.to_str().ok().map(str::to_owned));
    let status = push(authorization, body).await;
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
