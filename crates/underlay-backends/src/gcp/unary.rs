//! Calls that the client does not have: to pull what is there and no more, and to say what becomes of it.
//!
//! The client only streams, and a stream does not say that nothing is there. These are the same service's HTTP calls,
//! with the client's credentials and messages. Used for dead letters only, where nobody waits for the next one.

use std::time::Duration;

use google_cloud_auth::credentials::{CacheableResource, Credentials};
use google_cloud_pubsub::model::Message as Wire;
use reqwest::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    Error, ErrorKind, Result,
    gcp::{PROVIDER, error},
};

const GOOGLE: &str = "https://pubsub.googleapis.com";
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(20);
/// How many messages one call may bring or end.
const BATCH: usize = 1000;

#[derive(Clone)]
pub(super) struct Unary {
    client: reqwest::Client,
    endpoint: String,
    credentials: Credentials,
}

/// A message that was pulled, and what ends its delivery.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pulled {
    pub(super) ack_id: String,
    pub(super) message: Wire,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullAnswer {
    #[serde(default)]
    received_messages: Vec<Pulled>,
}

impl Unary {
    pub(super) fn new(endpoint: Option<&str>, credentials: &Credentials) -> Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(ANSWER)
            .build()
            .map_err(|error| {
                let text = "connect: the client cannot be made";
                Error::new(ErrorKind::Other, PROVIDER, "connection", text).with_source(error)
            })?;
        Ok(Self {
            client,
            endpoint: endpoint.unwrap_or(GOOGLE).to_owned(),
            credentials: credentials.clone(),
        })
    }

    /// Some of the messages that are there, leased as the subscription says; none if none is found.
    pub(super) async fn pull(&self, subscription: &str) -> Result<Vec<Pulled>> {
        let body = json!({ "maxMessages": BATCH, "returnImmediately": true });
        let answer: PullAnswer = self.call(subscription, "pull", body).await?;
        Ok(answer.received_messages)
    }

    /// Ends deliveries for good.
    pub(super) async fn ack(&self, subscription: &str, ids: &[String]) -> Result<()> {
        for ids in ids.chunks(BATCH) {
            let body = json!({ "ackIds": ids });
            let _: Value = self.call(subscription, "acknowledge", body).await?;
        }
        Ok(())
    }

    /// Gives deliveries back.
    pub(super) async fn give_back(&self, subscription: &str, ids: &[String]) -> Result<()> {
        for ids in ids.chunks(BATCH) {
            let body = json!({ "ackIds": ids, "ackDeadlineSeconds": 0 });
            let _: Value = self.call(subscription, "modifyAckDeadline", body).await?;
        }
        Ok(())
    }

    async fn call<T: DeserializeOwned>(
        &self,
        subscription: &str,
        verb: &str,
        body: Value,
    ) -> Result<T> {
        let failed = |kind, why: &str| {
            let text = format!("look at dead letters ({verb}): {why}");
            Error::new(kind, PROVIDER, subscription, text)
        };
        let headers = match self.credentials.headers(Default::default()).await {
            Ok(CacheableResource::New { data, .. }) => data,
            // Said to those who have some already, which nobody here has.
            Ok(CacheableResource::NotModified) => Default::default(),
            Err(error) => {
                let kind = if error.is_transient() {
                    ErrorKind::Unavailable
                } else {
                    ErrorKind::PermissionDenied
                };
                return Err(failed(kind, "there are no credentials").with_source(error));
            }
        };
        let url = format!("{}/v1/{subscription}:{verb}", self.endpoint);
        let answer = self
            .client
            .post(url)
            .headers(headers)
            .json(&body)
            .send()
            .await;
        let unavailable = |error: reqwest::Error| {
            let why = error::why(ErrorKind::Unavailable);
            failed(ErrorKind::Unavailable, why).with_source(error.without_url())
        };
        let answer = answer.map_err(unavailable)?;
        let status = answer.status();
        let kind = match status {
            _ if status.is_success() => return answer.json().await.map_err(unavailable),
            StatusCode::NOT_FOUND => ErrorKind::NotFound,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::PermissionDenied,
            StatusCode::TOO_MANY_REQUESTS => ErrorKind::Unavailable,
            _ if status.is_server_error() => ErrorKind::Unavailable,
            _ => ErrorKind::Other,
        };
        Err(failed(kind, &format!("{} ({status})", error::why(kind))))
    }
}
