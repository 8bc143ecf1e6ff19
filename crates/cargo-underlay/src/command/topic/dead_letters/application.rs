//! Asks the application that runs on this machine, over HTTP on loopback.

use std::{net::SocketAddr, time::Duration};

use http_body_util::{BodyExt as _, Empty};
use hyper::{StatusCode, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

use super::request::Request;
use crate::failure::Failure;

/// How long an answer may take. Whoever asked for much may not wait for it; it is done all the same.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the application answers.
///
/// # Errors
///
/// The application's own error, or that it cannot be reached or does not answer.
pub(super) async fn ask(address: SocketAddr, request: &Request) -> Result<Value, Failure> {
    let cannot = |why: &str| {
        Failure::error(format!(
            "the application that runs at http://{address} cannot be asked: {why}"
        ))
    };
    let (status, body) = match timeout(PATIENCE, send(address, request)).await {
        Ok(answer) => answer.map_err(|error| cannot(&chain(&*error)))?,
        Err(_) => {
            let why = format!("it did not answer within {PATIENCE:?}, and may still be doing it");
            return Err(cannot(&why));
        }
    };
    let document: Option<Value> = serde_json::from_slice(&body).ok();
    match document {
        Some(document) if status.is_success() => Ok(document),
        Some(document) if document["error"].is_string() => Err(Failure::error(
            document["error"].as_str().unwrap_or_default(),
        )),
        _ => Err(cannot(&format!(
            "it answered {status}, so it was built with another version of underlay; build it again"
        ))),
    }
}

async fn send(
    address: SocketAddr,
    request: &Request,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let (method, path) = request.http();
    let request = hyper::Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, address.to_string())
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>((status, body))
    };
    // The connection does the work; what goes wrong with it, the answer says.
    let (answer, _) = tokio::join!(answer, connection);
    Ok(answer?)
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
