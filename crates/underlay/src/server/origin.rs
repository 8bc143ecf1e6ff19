//! Keeps web pages away from what a developer does by hand: a browser on this machine runs pages of anybody, and their
//! requests come from loopback as well.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;

/// Lets no page of another origin through.
pub(super) async fn ours_only(request: Request, next: Next) -> Response {
    if is_ours(request.headers()) {
        return next.run(request).await;
    }
    let error = "a web page of another origin may not do this; use the command line, or open it under localhost";
    (StatusCode::FORBIDDEN, Json(json!({ "error": error }))).into_response()
}

/// Whether no browser has sent it, or one for a page of this very server, or for whoever typed the address.
fn is_ours(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let host = text(header::HOST).unwrap_or("localhost");
    // A page can have its own name lead here ("DNS rebinding"): then the origins are the same, and the name is its.
    if !is_this_machine(host) {
        return false;
    }
    // Browsers set it themselves, no page can: https://www.w3.org/TR/fetch-metadata/
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return matches!(site, "same-origin" | "none");
    }
    // Older browsers say at least where what changes something comes from.
    text(header::ORIGIN).is_none_or(|origin| origin.strip_prefix("http://") == Some(host))
}

/// Whether a host is named by an address or as `localhost`, which no other's name server answers for.
fn is_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    address.parse::<std::net::IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn who_is_let_through() {
        let check = |headers: &[(&'static str, &'static str)], expected: bool| {
            let map: HeaderMap = headers
                .iter()
                .map(|(name, value)| {
                    (
                        HeaderName::from_static(name),
                        HeaderValue::from_static(value),
                    )
                })
                .collect();
            assert_eq!(is_ours(&map), expected, "{headers:?}");
        };
        let here = ("host", "127.0.0.1:4000");
        // Command lines.
        check(&[], true);
        check(&[here], true);
        check(&[("host", "localhost:4000")], true);
        check(&[("host", "[::1]:4000")], true);
        // Browsers.
        check(&[here, ("sec-fetch-site", "none")], true);
        check(
            &[
                here,
                ("sec-fetch-site", "same-origin"),
                ("origin", "http://127.0.0.1:4000"),
            ],
            true,
        );
        check(&[here, ("sec-fetch-site", "cross-site")], false);
        // Another port of this machine is another origin.
        check(&[here, ("sec-fetch-site", "same-site")], false);
        check(&[here, ("origin", "http://127.0.0.1:4000")], true);
        check(&[here, ("origin", "http://127.0.0.1:5173")], false);
        check(&[here, ("origin", "https://evil.example")], false);
        check(&[here, ("origin", "null")], false);
        // A name that leads here.
        check(
            &[
                ("host", "evil.example:4000"),
                ("sec-fetch-site", "same-origin"),
            ],
            false,
        );
        check(
            &[
                ("host", "evil.example:4000"),
                ("origin", "http://evil.example:4000"),
            ],
            false,
        );
        check(&[("host", "localhost.evil.example")], false);
    }
}
