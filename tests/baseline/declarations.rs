//! What the bench `declarations` compares with: the types that a service without Underlay would write once, so that its
//! topics, handlers, caches and endpoints can be listed by hand. Each listing does the work that Underlay's expansion
//! must do too: it decodes a message for its handler, boxes a future, formats a key, adds a route.

use std::collections::BTreeMap;
use std::error::Error;
use std::marker::PhantomData;
use std::pin::Pin;

use serde::de::DeserializeOwned;

pub type Failure = Box<dyn Error + Send + Sync>;
type Outcome = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// A topic of messages of one type.
pub struct Topic<T>(pub &'static str, pub PhantomData<fn() -> T>);
/// A bucket.
pub struct Bucket(pub &'static str);
/// A cache cluster.
pub struct Cache(pub &'static str);
/// A group of keys in a cluster.
pub struct Keyspace<K>(pub &'static Cache, pub &'static str, pub PhantomData<fn() -> K>);
/// A secret.
pub struct Secret(pub &'static str);

/// A type that fills the parameters of a key pattern.
pub trait Key {
    /// The key.
    fn key(&self) -> String;
}

/// Everything that the service consists of, listed by hand.
#[derive(Default)]
pub struct App {
    pub router: axum::Router,
    pub names: Vec<&'static str>,
    pub subscriptions: BTreeMap<&'static str, Box<dyn Fn(&[u8]) -> Outcome + Send + Sync>>,
    pub jobs: BTreeMap<&'static str, Box<dyn Fn() -> Outcome + Send + Sync>>,
}

impl App {
    pub fn subscribe<T, F>(&mut self, topic: &Topic<T>, name: &'static str, handler: fn(T) -> F)
    where
        T: DeserializeOwned + 'static,
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        self.names.push(topic.0);
        let handle = move |bytes: &[u8]| -> Outcome {
            match serde_json::from_slice(bytes) {
                Ok(message) => Box::pin(handler(message)),
                Err(error) => Box::pin(async move { Err(error.into()) }),
            }
        };
        self.subscriptions.insert(name, Box::new(handle));
    }

    pub fn job<F>(&mut self, name: &'static str, handler: fn() -> F)
    where
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        self.jobs.insert(name, Box::new(move || Box::pin(handler())));
    }

    pub async fn serve(self) -> Result<(), Failure> {
        let begin = std::time::Instant::now();
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let listener = tokio::net::TcpListener::bind(std::env::var("UNDERLAY_LISTEN")?).await?;
        tracing::info!(
            "{} names, {} subscriptions, {} jobs",
            self.names.len(),
            self.subscriptions.len(),
            self.jobs.len()
        );
        tracing::info!("ready in {:.1?}", begin.elapsed());
        let stop = async move {
            terminate.recv().await;
        };
        axum::serve(listener, self.router).with_graceful_shutdown(stop).await?;
        Ok(())
    }
}

pub fn logs() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
}
