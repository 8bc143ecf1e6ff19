//! A small HTTP client: one connection that is kept, or one call. It knows nothing of what is asked.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body, of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?}", self.body);
        self
    }
}

/// A connection that is kept for one request after another.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| error.to_string())?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        // It ends with the sender; what went wrong is told to whoever sends.
        tokio::spawn(connection);
        Ok(Self {
            sender,
            host: address.to_string(),
        })
    }

    /// Sends a request with a JSON body, or none, and waits for the whole answer.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, String> {
        let builder = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.host);
        let request = match body {
            Some(body) => builder
                .header("content-type", "application/json")
                .body(Full::new(Bytes::from(body.to_string()))),
            None => builder.body(Full::default()),
        };
        self.request(request.map_err(|error| error.to_string())?)
            .await
    }

    async fn request(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let answer = async {
            self.sender.ready().await?;
            let response = self.sender.send_request(request).await?;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await?.to_bytes();
            Ok::<_, hyper::Error>(Answer { status, body })
        };
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {PATIENCE:?}")),
        }
    }
}

/// Sends one request on a connection of its own.
#[track_caller]
pub(crate) fn call(address: SocketAddr, method: &str, path: &str, body: Option<Value>) -> Answer {
    let answer = block_on(async {
        Connection::open(address)
            .await?
            .send(method, path, body.as_ref())
            .await
    });
    answer.unwrap_or_else(|error| panic!("{method} http://{address}{path}: {error}"))
}

/// Sends one request without a body and with these headers, in which `host` may be another.
#[track_caller]
pub(crate) fn call_with(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let answer = block_on(async {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", address.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::default())
            .map_err(|error| error.to_string())?;
        Connection::open(address).await?.request(request).await
    });
    answer.unwrap_or_else(|error| panic!("{method} http://{address}{path}: {error}"))
}

/// Sends bytes, whatever they are, to a URL of a server on this machine.
#[track_caller]
pub(crate) fn call_url(method: &str, url: &str, body: &'static [u8]) -> Answer {
    let rest = url
        .strip_prefix("http://")
        .unwrap_or_else(|| panic!("not a URL: {url}"));
    let (host, path) = rest
        .split_once('/')
        .unwrap_or_else(|| panic!("a URL without a path: {url}"));
    let address: SocketAddr = host.parse().unwrap();
    let answer = block_on(async {
        let request = Request::builder()
            .method(method)
            .uri(format!("/{path}"))
            .header("host", host);
        let request = request
            .body(Full::new(Bytes::from_static(body)))
            .map_err(|error| error.to_string())?;
        Connection::open(address).await?.request(request).await
    });
    answer.unwrap_or_else(|error| panic!("{method} {url}: {error}"))
}

/// Runs something asynchronous to its end.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}
