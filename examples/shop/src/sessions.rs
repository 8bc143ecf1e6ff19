//! Sessions and rate limits: a cache cluster with typed keyspaces.

use underlay::axum::Json;
use underlay::axum::extract::Path;
use underlay::prelude::*;

underlay::service!("sessions");

#[cache("sessions", eviction = "volatile-lru")]
static SESSIONS: CacheCluster;

/// Who a session belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    customer: String,
}

#[keyspace(SESSIONS, "session/:key", expiry = "1h")]
static SESSION: StructKeyspace<String, Session>;

/// Whose requests are counted, and on which route.
#[derive(CacheKey)]
pub(crate) struct Caller {
    customer: String,
    route: String,
}

#[keyspace(SESSIONS, "requests/:route/:customer", expiry = "1h")]
static REQUESTS: IntKeyspace<Caller>;

/// How many requests a customer may send on one route before an hour without any passes.
const LIMIT: i64 = 10_000;

/// Counts a request, and says whether the customer may send it.
pub(crate) async fn within_limit(customer: &str, route: &str) -> underlay::Result<bool> {
    let caller = Caller {
        customer: customer.to_owned(),
        route: route.to_owned(),
    };
    Ok(REQUESTS.increment(&caller, 1).await? <= LIMIT)
}

/// How many requests a customer has sent on a route.
#[api(method = GET, path = "/requests/{route}/{customer}", private)]
async fn requests(Path((route, customer)): Path<(String, String)>) -> underlay::Result<Json<i64>> {
    Ok(Json(
        REQUESTS
            .get(&Caller { customer, route })
            .await?
            .unwrap_or(0),
    ))
}

/// Opens a session and returns its token.
#[api(method = POST, path = "/sessions", public)]
async fn open_session(Json(session): Json<Session>) -> underlay::Result<String> {
    let token = hex::encode(rand::random::<[u8; 16]>());
    SESSION.set(&token, session).await?;
    Ok(token)
}

/// The session of a token.
#[api(method = GET, path = "/sessions/{token}", public)]
async fn get_session(Path(token): Path<String>) -> underlay::Result<Json<Option<Session>>> {
    Ok(Json(SESSION.get(&token).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[underlay::test]
    async fn a_session_is_found_by_its_token() -> underlay::Result<()> {
        let session = Session {
            customer: "ann".into(),
        };
        let token = open_session(Json(session.clone())).await?;
        assert_eq!(get_session(Path(token)).await?.0, Some(session));
        assert_eq!(get_session(Path("another".into())).await?.0, None);
        Ok(())
    }

    #[underlay::test]
    async fn requests_are_counted_per_customer_and_route() -> underlay::Result<()> {
        for _ in 0..3 {
            assert!(within_limit("ann", "orders").await?);
        }
        assert!(within_limit("bob", "orders").await?);
        assert_eq!(requests(Path(("orders".into(), "ann".into()))).await?.0, 3);
        assert_eq!(requests(Path(("orders".into(), "bob".into()))).await?.0, 1);
        assert_eq!(
            requests(Path(("sessions".into(), "ann".into()))).await?.0,
            0
        );
        Ok(())
    }
}
