//! What the pools tell of themselves to `tracing`: the one file that knows the names of these metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::watch;

use super::{PoolStatus, Pools};

/// How often the pools are looked at.
const INTERVAL: Duration = Duration::from_secs(10);

/// Emits an event of target `underlay::metrics` and level `TRACE` per pool every ten seconds, until `stop` turns true.
///
/// The fields are named as `tracing-opentelemetry` wants them, whose metrics layer makes gauges of them.
pub(crate) async fn report(pools: BTreeMap<String, Pools>, mut stop: watch::Receiver<bool>) {
    loop {
        for (database, pools) in &pools {
            emit(database, "primary", &pools.primary);
            if let Some(replica) = &pools.replica {
                emit(database, "replica", replica);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            _ = stop.wait_for(|stopped| *stopped) => return,
        }
    }
}

fn emit(database: &str, pool: &str, of: &PgPool) {
    let status = PoolStatus::of(of);
    tracing::trace!(
        target: "underlay::metrics",
        database,
        pool,
        "gauge.db_pool_connections" = status.connections,
        "gauge.db_pool_idle" = status.idle,
        "gauge.db_pool_max" = status.max_connections,
    );
}
