//! The tokens with which Google signs what it pushes.
//!
//! Google's own verifier is not used: it refuses good tokens while it fetches a key for another one, fetches for every
//! unknown key, and panics on a token without an email.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use serde::Deserialize;
use tokio::time::Instant;

use crate::{Error, ErrorKind, Result, error::chain, gcp::PROVIDER};

/// Where Google publishes the keys of its tokens.
const GOOGLES_KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";
const ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];
/// How long keys are used before they are fetched again.
const FRESH: Duration = Duration::from_secs(3600);
/// How long no key is fetched again, so that neither strangers nor a failing server make us fetch for each request.
const PAUSE: Duration = Duration::from_secs(10);
/// How long a fetch may take.
const FETCH: Duration = Duration::from_secs(5);
/// How far our clock may be from Google's.
const SKEW: Duration = Duration::from_secs(10);

/// Why a push is not let in.
#[derive(Debug)]
pub(super) enum Refusal {
    /// There is no token, or not one that Google signed for us now.
    Unauthorized(String),
    /// It is a token for us of somebody else.
    Forbidden(String),
    /// Google's keys could not be had.
    Unavailable(String),
}

pub(super) struct Verifier {
    validation: Validation,
    email: String,
    keys: Keys,
}

struct Keys {
    url: String,
    client: reqwest::Client,
    known: Mutex<Known>,
    /// One fetch at a time.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, Arc<DecodingKey>>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

#[derive(Deserialize)]
struct Claims {
    email: Option<String>,
    email_verified: Option<bool>,
}

impl Verifier {
    pub(super) fn new(audience: &str, email: &str, keys: Option<&str>) -> Result<Self> {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[audience]);
        validation.set_issuer(&ISSUERS);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        validation.leeway = SKEW.as_secs();
        let client = reqwest::Client::builder()
            .timeout(FETCH)
            .build()
            .map_err(|error| {
                let text = "verify pushes: there is no client for Google's keys";
                Error::new(ErrorKind::Other, PROVIDER, audience, text).with_source(error)
            })?;
        Ok(Self {
            validation,
            email: email.to_owned(),
            keys: Keys {
                url: keys.unwrap_or(GOOGLES_KEYS).to_owned(),
                client,
                known: Mutex::default(),
                fetching: tokio::sync::Mutex::new(()),
            },
        })
    }

    /// Checks an `Authorization` header.
    pub(super) async fn check(
        &self,
        authorization: Option<&str>,
    ) -> std::result::Result<(), Refusal> {
        let unauthorized = |text: &str| Refusal::Unauthorized(text.to_owned());
        let token = authorization.and_then(|header| {
            let (scheme, token) = header.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let token = token.ok_or_else(|| unauthorized("there is no bearer token"))?;
        // The errors say which claim is wrong, and show nothing of the token.
        let invalid = |error: jsonwebtoken::errors::Error| Refusal::Unauthorized(error.to_string());
        let header = jsonwebtoken::decode_header(token).map_err(invalid)?;
        if header.alg != Algorithm::RS256 {
            return Err(unauthorized("the token is not signed as Google signs"));
        }
        let id = header
            .kid
            .ok_or_else(|| unauthorized("the token names no key"))?;
        let key = self.keys.get(&id).await?;
        let key = key.ok_or_else(|| unauthorized("the token's key is none of Google's"))?;
        let token = jsonwebtoken::decode::<Claims>(token, &key, &self.validation);
        let claims = token.map_err(invalid)?.claims;
        if claims.email_verified != Some(true) || claims.email.as_deref() != Some(&*self.email) {
            let text = "the token is not the service account's that pushes".to_owned();
            return Err(Refusal::Forbidden(text));
        }
        Ok(())
    }
}

impl Keys {
    /// The key of an id; `None` if Google has no such key.
    async fn get(&self, id: &str) -> std::result::Result<Option<Arc<DecodingKey>>, Refusal> {
        if let Some(answer) = self.look(id) {
            return answer;
        }
        let _fetching = self.fetching.lock().await;
        // Somebody else may have fetched meanwhile.
        if let Some(answer) = self.look(id) {
            return answer;
        }
        let fetched = self.fetch().await;
        let mut known = self.known();
        known.tried = Some(Instant::now());
        match fetched {
            Ok(keys) => {
                known.keys = keys;
                known.fetched = Some(Instant::now());
                Ok(known.keys.get(id).cloned())
            }
            // Old keys are better than none.
            Err(_) if known.keys.contains_key(id) => Ok(known.keys.get(id).cloned()),
            Err(error) => {
                let text = format!("Google's keys could not be fetched: {}", chain(&error));
                Err(Refusal::Unavailable(text))
            }
        }
    }

    /// What is known without fetching; `None` if that must be done.
    fn look(&self, id: &str) -> Option<std::result::Result<Option<Arc<DecodingKey>>, Refusal>> {
        let known = self.known();
        let age = |time: Option<Instant>| time.map(|time| time.elapsed());
        let is_fresh = age(known.fetched).is_some_and(|age| age < FRESH);
        let is_paused = age(known.tried).is_some_and(|age| age < PAUSE);
        match known.keys.get(id).cloned() {
            Some(key) if is_fresh || is_paused => Some(Ok(Some(key))),
            None if is_fresh && is_paused => Some(Ok(None)),
            None if is_paused => {
                let text = "Google's keys could not be fetched a moment ago".to_owned();
                Some(Err(Refusal::Unavailable(text)))
            }
            _ => None,
        }
    }

    async fn fetch(&self) -> reqwest::Result<HashMap<String, Arc<DecodingKey>>> {
        let answer = self
            .client
            .get(&self.url)
            .send()
            .await?
            .error_for_status()?;
        let set: JwkSet = answer.json().await?;
        let keys = set.keys.iter().filter_map(|jwk| {
            // A key of a kind that is not known here signs none of the tokens that are taken.
            let key = DecodingKey::from_jwk(jwk).ok()?;
            Some((jwk.common.key_id.clone()?, Arc::new(key)))
        });
        Ok(keys.collect())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
