//! Dead letters by HTTP, in a local run: the same requests and answers as the job's, for the developer's tools. Who may
//! call is the router's business.

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;

use crate::dead_letters::{self, Of, Request, Which};
use crate::{Error, ErrorKind, Result};

/// The routes, under `/__underlay/dead-letters`.
pub(super) fn routes() -> Router {
    Router::new()
        .route(
            "/__underlay/dead-letters",
            get(async || answer(Ok(Request::Counts)).await),
        )
        .route(
            "/__underlay/dead-letters/{topic}/{subscription}",
            get(list).delete(discard_all),
        )
        .route(
            "/__underlay/dead-letters/{topic}/{subscription}/release",
            post(release_all),
        )
        .route(
            "/__underlay/dead-letters/{topic}/{subscription}/{id}",
            get(show).delete(discard),
        )
        .route(
            "/__underlay/dead-letters/{topic}/{subscription}/{id}/release",
            post(release),
        )
}

/// A subscription as a path names it.
#[derive(Deserialize)]
struct Subscription {
    topic: String,
    subscription: String,
}

/// A letter as a path names it.
#[derive(Deserialize)]
struct Letter {
    topic: String,
    subscription: String,
    id: String,
}

#[derive(Deserialize)]
struct Limit {
    limit: Option<usize>,
}

impl From<Subscription> for Of {
    fn from(path: Subscription) -> Self {
        Self {
            topic: path.topic,
            subscription: path.subscription,
        }
    }
}

impl Letter {
    fn split(self) -> (Of, String) {
        let of = Of {
            topic: self.topic,
            subscription: self.subscription,
        };
        (of, self.id)
    }
}

async fn list(
    Path(path): Path<Subscription>,
    query: Result<Query<Limit>, QueryRejection>,
) -> Response {
    let request = match query {
        Ok(Query(query)) => Request::list(path.into(), query.limit),
        Err(error) => Err(Error::new(ErrorKind::InvalidArgument, error.body_text())),
    };
    answer(request).await
}

async fn show(Path(path): Path<Letter>) -> Response {
    let (of, id) = path.split();
    answer(Ok(Request::Show { of, id })).await
}

async fn release(Path(path): Path<Letter>) -> Response {
    let (of, id) = path.split();
    let which = Which::One(id);
    answer(Ok(Request::Release { of, which })).await
}

async fn release_all(Path(path): Path<Subscription>) -> Response {
    let (of, which) = (path.into(), Which::All);
    answer(Ok(Request::Release { of, which })).await
}

async fn discard(Path(path): Path<Letter>) -> Response {
    let (of, id) = path.split();
    let which = Which::One(id);
    answer(Ok(Request::Discard { of, which })).await
}

async fn discard_all(Path(path): Path<Subscription>) -> Response {
    let (of, which) = (path.into(), Which::All);
    answer(Ok(Request::Discard { of, which })).await
}

async fn answer(request: Result<Request>) -> Response {
    let outcome = async {
        let sources = dead_letters::bound().ok_or_else(|| {
            let text = "no subscription is bound yet: the application is just starting";
            Error::new(ErrorKind::NotStarted, text)
        })?;
        // A task of its own: a caller who leaves shall not stop it between two brokers' answers.
        match tokio::spawn(request?.answer(sources)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::message("handling dead letters panicked")),
        }
    };
    match outcome.await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => {
            let text = error.chain();
            let status = error.status();
            if status == StatusCode::INTERNAL_SERVER_ERROR {
                tracing::error!(target: "underlay", error = text, "dead letters could not be handled");
            }
            (status, Json(json!({ "error": text }))).into_response()
        }
    }
}
