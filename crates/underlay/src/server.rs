//! The HTTP server: the declared endpoints, the application's router, and what Underlay serves itself under
//! `/__underlay`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use futures_util::future::join_all;
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use underlay_backends::ErrorKind as BackendErrorKind;
use underlay_backends::bucket::{Bucket, GetOptions, PutOptions, SignedMethod};
use underlay_backends::disk::{SigningKey, verify};
use underlay_model::model::Access;
use underlay_model::{Declaration, Model};

use crate::config::configuration;
use crate::cron::CronHandler;
use crate::inventory::{Entry, Item};
use crate::push::{self, Pushes};
use crate::{Error, Result};

mod dead_letters;
mod origin;

/// The path under which public objects are served.
pub(crate) const PUBLIC_OBJECTS: &str = "/__underlay/public";
/// How long a dependency may take to say that it is there.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// The handlers of the crons, by name.
pub(crate) type Jobs = BTreeMap<String, CronHandler>;
/// The buckets, by declared name.
pub(crate) type Buckets = BTreeMap<String, Arc<dyn Bucket>>;

/// What the routes under `/__underlay` need.
pub(crate) struct Served {
    /// Whether this is a local run, where jobs can be called and private endpoints are reached from this machine.
    pub(crate) local: bool,
    /// False while stopping.
    pub(crate) readiness: Arc<AtomicBool>,
    pub(crate) jobs: Jobs,
    pub(crate) buckets: Buckets,
    pub(crate) pushes: Pushes,
    pub(crate) signing_key: SigningKey,
    #[cfg(feature = "postgres")]
    pub(crate) pools: BTreeMap<String, crate::database::Pools>,
}

/// Everything that is served.
///
/// # Errors
///
/// The endpoints that cannot be served.
pub(crate) fn router(
    model: &Model,
    entries: &[Entry],
    users: Router,
    mut served: Served,
) -> Result<Router> {
    let mut problems = Vec::new();
    let mut public = users;
    let mut private = Router::new();
    for Entry { declaration, item } in entries {
        let (Declaration::Endpoint(endpoint), Item::Endpoint(register)) = (declaration, item)
        else {
            continue;
        };
        match endpoint.access {
            Access::Public => public = register(public),
            Access::Private => private = register(private),
            Access::Auth => problems.push(format!(
                "{}: the endpoint `{}` is declared `auth`, and auth handlers are not supported yet; \
                 declare it `public` and check the caller in a layer of `App::router`, or `private`",
                endpoint.source, endpoint.name
            )),
        }
    }
    if !problems.is_empty() {
        return Err(configuration(problems));
    }
    let pushed = push::router(std::mem::take(&mut served.pushes));
    let served = Arc::new(served);
    let ours = Router::new()
        .route(
            "/__underlay/health/live",
            get(async || Json(json!({ "status": "ok" }))),
        )
        .route("/__underlay/health/ready", get(ready))
        .route(
            &format!("{PUBLIC_OBJECTS}/{{bucket}}/{{*name}}"),
            get(public_object),
        )
        .route(
            "/__underlay/objects/{bucket}/{*name}",
            get(signed_download).put(signed_upload),
        )
        .with_state(Arc::clone(&served));
    let mut router = public.merge(ours).merge(pushed);
    if served.local {
        let by_hand = Router::new()
            .route("/__underlay/cron/{id}", post(run_job))
            .with_state(Arc::clone(&served))
            .route(
                "/__underlay/model",
                get(async |Extension(model): Extension<Arc<Model>>| Json(Model::clone(&model))),
            )
            .layer(Extension(Arc::new(model.clone())))
            .merge(dead_letters::routes())
            .layer(middleware::from_fn(origin::ours_only));
        router = router.merge(
            by_hand
                .merge(private)
                .layer(middleware::from_fn(loopback_only)),
        );
    }
    Ok(router)
}

/// Serves until `stop` turns true, then until every request that runs has been answered.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    axum::serve(
        listener,
        router.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(async move {
        let _ = stop.wait_for(|stopped| *stopped).await;
    })
    .await
}

/// Lets only callers on this machine through: others are told what anybody is told of a path that does not exist.
async fn loopback_only(request: Request, next: Next) -> Response {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0.ip().to_canonical());
    match peer {
        Some(address) if address.is_loopback() => next.run(request).await,
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Something that the application needs: its kind, its declared name, and why it cannot be used, if it cannot.
type Dependency = (&'static str, String, Option<String>);

/// The text of a failure, or of a check that took too long.
async fn problem<T, E: std::error::Error>(
    check: impl Future<Output = Result<T, E>>,
) -> Option<String> {
    match tokio::time::timeout(READY_TIMEOUT, check).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(crate::error::chain(&error)),
        Err(_) => Some(format!("no answer within {READY_TIMEOUT:?}")),
    }
}

#[cfg(feature = "postgres")]
async fn databases(served: &Served) -> Vec<Dependency> {
    let pools = served.pools.iter().flat_map(|(name, pools)| {
        let replica = pools
            .replica
            .as_ref()
            .map(|pool| ("database replica", name, pool));
        std::iter::once(("database", name, &pools.primary)).chain(replica)
    });
    let checks = pools.map(async |(kind, name, pool)| {
        let answer = sqlx::query("SELECT 1").execute(pool);
        (kind, name.clone(), problem(answer).await)
    });
    join_all(checks).await
}

/// Without the feature there are none.
#[cfg(not(feature = "postgres"))]
async fn databases(_served: &Served) -> Vec<Dependency> {
    Vec::new()
}

async fn buckets(served: &Served) -> Vec<Dependency> {
    let checks = served.buckets.iter().map(async |(name, bucket)| {
        // Whether there is such an object does not matter: the store has answered.
        let answer = async {
            match bucket.head("__underlay/ready", None).await {
                Err(error) if error.kind() != BackendErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        };
        ("bucket", name.clone(), problem(answer).await)
    });
    join_all(checks).await
}

async fn ready(State(served): State<Arc<Served>>) -> Response {
    let (databases, buckets) = tokio::join!(databases(&served), buckets(&served));
    let dependencies: Vec<Dependency> = databases.into_iter().chain(buckets).collect();
    let all = dependencies.iter().all(|(_, _, problem)| problem.is_none());
    let dependencies: Vec<_> = dependencies
        .into_iter()
        .map(|(kind, name, problem)| match problem {
            None => json!({ "kind": kind, "name": name, "status": "ok" }),
            Some(error) => {
                json!({ "kind": kind, "name": name, "status": "failing", "error": error })
            }
        })
        .collect();
    let stopping = !served.readiness.load(Ordering::Acquire);
    let status = if stopping {
        "stopping"
    } else if all {
        "ok"
    } else {
        "failing"
    };
    let code = if all && !stopping {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        code,
        Json(json!({ "status": status, "dependencies": dependencies })),
    )
        .into_response()
}

async fn run_job(State(served): State<Arc<Served>>, Path(id): Path<String>) -> Response {
    let Some(job) = served.jobs.get(&id) else {
        let known: Vec<&str> = served.jobs.keys().map(String::as_str).collect();
        let hint = underlay_model::nearest::nearest(&id, known.iter().copied());
        let message = match hint {
            Some(near) => format!("no cron `{id}` is declared; did you mean `{near}`?"),
            None => format!(
                "no cron `{id}` is declared; there are: {}",
                known.join(", ")
            ),
        };
        return (StatusCode::NOT_FOUND, Json(json!({ "error": message }))).into_response();
    };
    // A task of its own, so that a panic is an answer and a caller who leaves does not stop the job.
    match tokio::spawn(job()).await {
        Ok(Ok(())) => Json(json!({ "cron": id, "status": "ok" })).into_response(),
        Ok(Err(error)) => {
            let error = crate::error::chain(&*error);
            tracing::error!(target: "underlay", cron = id, error, "the cron failed");
            let body = json!({ "cron": id, "status": "failed", "error": error });
            (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
        }
        Err(_) => {
            let body = json!({ "cron": id, "status": "failed", "error": "the handler panicked" });
            (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
        }
    }
}

async fn public_object(
    State(served): State<Arc<Served>>,
    Path((bucket, name)): Path<(String, String)>,
) -> Response {
    let Some(bucket) = served
        .buckets
        .get(&bucket)
        .filter(|bucket| bucket.public_url(&name).is_ok())
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    download(&**bucket, &name).await
}

/// The query of a signed URL.
#[derive(Deserialize)]
struct Signature {
    expires: u64,
    signature: String,
}

async fn signed_download(
    State(served): State<Arc<Served>>,
    Path((bucket, name)): Path<(String, String)>,
    Query(query): Query<Signature>,
) -> Response {
    match signed(&served, SignedMethod::Get, &bucket, &name, &query) {
        Ok(bucket) => download(bucket, &name).await,
        Err(refusal) => refusal,
    }
}

async fn signed_upload(
    State(served): State<Arc<Served>>,
    Path((bucket, name)): Path<(String, String)>,
    Query(query): Query<Signature>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let bucket = match signed(&served, SignedMethod::Put, &bucket, &name, &query) {
        Ok(bucket) => bucket,
        Err(refusal) => return refusal,
    };
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let stream = body.into_data_stream().map_err(|error| {
        underlay_backends::Error::new(
            BackendErrorKind::Other,
            "http",
            "upload",
            "the body of an upload failed midway",
        )
        .with_source(error)
    });
    let options = PutOptions {
        content_type,
        ..PutOptions::default()
    };
    match bucket.put(&name, stream.boxed(), options).await {
        Ok(object) => (
            [(header::ETAG, format!("\"{}\"", object.etag))],
            StatusCode::OK,
        )
            .into_response(),
        Err(error) => Error::from(error).into_response(),
    }
}

#[expect(
    clippy::result_large_err,
    reason = "the refusal is the answer, and it is made once per request"
)]
fn signed<'a>(
    served: &'a Served,
    method: SignedMethod,
    bucket: &str,
    name: &str,
    query: &Signature,
) -> Result<&'a dyn Bucket, Response> {
    let allowed = verify(
        &served.signing_key,
        method,
        bucket,
        name,
        query.expires,
        &query.signature,
        SystemTime::now(),
    );
    match (allowed, served.buckets.get(bucket)) {
        (Ok(()), Some(bucket)) => Ok(&**bucket),
        _ => Err(StatusCode::FORBIDDEN.into_response()),
    }
}

async fn download(bucket: &dyn Bucket, name: &str) -> Response {
    match bucket.get(name, GetOptions::default()).await {
        Ok((object, stream)) => {
            let mut response = Body::from_stream(stream).into_response();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_LENGTH, object.size.into());
            if let Some(Ok(value)) = object.content_type.map(HeaderValue::try_from) {
                headers.insert(header::CONTENT_TYPE, value);
            }
            if let Ok(value) = HeaderValue::try_from(format!("\"{}\"", object.etag)) {
                headers.insert(header::ETAG, value);
            }
            response
        }
        Err(error) => Error::from(error).into_response(),
    }
}
