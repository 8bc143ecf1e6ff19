//! Transactions: how isolated they are, and running one again when the server asks for that.

use std::error::Error as StdError;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection, Postgres, Transaction};

use super::Database;

/// How often a transaction is run at most.
const ATTEMPTS: u32 = 10;
/// The longest wait before the second attempt; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(5);
/// The longest wait before any attempt.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// What a transaction sees of others, as PostgreSQL has it.
///
/// <https://www.postgresql.org/docs/current/transaction-iso.html>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// Each statement sees what was committed before it.
    #[default]
    ReadCommitted,
    /// All statements see what was committed before the first.
    RepeatableRead,
    /// As if transactions ran one after the other.
    Serializable,
}

/// How a transaction begins.
///
/// # Example
///
/// ```
/// use underlay::{Isolation, TransactionOptions};
///
/// let options = TransactionOptions::from(Isolation::RepeatableRead).read_only();
/// assert_eq!(options.to_string(), "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct TransactionOptions {
    isolation: Isolation,
    read_only: bool,
}

impl TransactionOptions {
    /// A transaction that the server lets write nothing.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }
}

impl From<Isolation> for TransactionOptions {
    fn from(isolation: Isolation) -> Self {
        Self {
            isolation,
            read_only: false,
        }
    }
}

/// The statement that begins the transaction.
impl std::fmt::Display for TransactionOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let level = match self.isolation {
            Isolation::ReadCommitted => "READ COMMITTED",
            Isolation::RepeatableRead => "REPEATABLE READ",
            Isolation::Serializable => "SERIALIZABLE",
        };
        let access = if self.read_only {
            "READ ONLY"
        } else {
            "READ WRITE"
        };
        write!(f, "BEGIN ISOLATION LEVEL {level} {access}")
    }
}

impl Database {
    /// Begins a transaction with an isolation level, or with [`TransactionOptions`]. It is rolled back when it is
    /// dropped without a commit.
    ///
    /// # Errors
    ///
    /// That no connection is to be had, or the server refuses.
    pub async fn begin_with(
        &'static self,
        options: impl Into<TransactionOptions>,
    ) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let statement = AssertSqlSafe(options.into().to_string());
        sqlx::Pool::begin_with(self, statement).await
    }

    /// Runs `body` in a transaction, and commits if it returns `Ok`, else rolls back.
    ///
    /// When the server ends it with a serialization failure or a deadlock, `body` is run again in a new transaction, up
    /// to ten times with growing, random waits, some 2 s in all; so it must have no effect outside of the transaction.
    ///
    /// # Errors
    ///
    /// The error of `body`, or of beginning or committing.
    ///
    /// # Example
    ///
    /// ```
    /// # use underlay::prelude::*;
    /// use underlay::Isolation;
    ///
    /// # #[database("bank")]
    /// # static BANK: Database;
    /// async fn transfer(from: i64, to: i64, amount: i64) -> underlay::Result<()> {
    ///     BANK.transaction(Isolation::Serializable, |mut tx| async move {
    ///         for (account, change) in [(from, -amount), (to, amount)] {
    ///             sqlx::query("UPDATE accounts SET balance = balance + $1 WHERE id = $2")
    ///                 .bind(change)
    ///                 .bind(account)
    ///                 .execute(&mut *tx)
    ///                 .await?;
    ///         }
    ///         Ok(())
    ///     })
    ///     .await
    /// }
    /// # fn main() {}
    /// ```
    pub async fn transaction<T, E, F>(
        &'static self,
        options: impl Into<TransactionOptions>,
        mut body: impl FnMut(Tx) -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: StdError + From<sqlx::Error> + 'static,
    {
        let options = options.into();
        let mut attempt = 1;
        loop {
            let place = Arc::new(Mutex::new(None));
            let transaction = self.begin_with(options).await?;
            let result = body(Tx {
                transaction: Some(transaction),
                place: Arc::clone(&place),
            })
            .await;
            let result = match (result, take(&place)) {
                (Ok(value), Some(transaction)) => {
                    transaction.commit().await.map(|()| value).map_err(E::from)
                }
                (Ok(_), None) => Err(E::from(sqlx::Error::Protocol(
                    "the body of the transaction returned and something it began still holds the transaction".to_owned(),
                ))),
                (Err(error), transaction) => {
                    if let Some(transaction) = transaction {
                        // The body's failure is the one to tell; a connection that cannot roll back is closed.
                        let _ = transaction.rollback().await;
                    }
                    Err(error)
                }
            };
            match result {
                Err(error) if attempt < ATTEMPTS && may_succeed_again(&error) => {
                    tracing::debug!(
                        target: "underlay",
                        database = self.name,
                        attempt,
                        "the transaction is run again: {}",
                        crate::error::chain(&error),
                    );
                    tokio::time::sleep(wait(attempt)).await;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }
}

/// Where a body leaves its transaction.
type Place = Arc<Mutex<Option<Transaction<'static, Postgres>>>>;

fn take(place: &Place) -> Option<Transaction<'static, Postgres>> {
    place.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The transaction that the body of [`Database::transaction`] has: `&mut *tx` is what queries run on.
///
/// It is ended by whoever runs the body, once this is dropped.
// A value and not a reference: futures of closures over references to one are not `Send` for the compiler, as handlers'
// must be (https://github.com/rust-lang/rust/issues/110338).
#[must_use = "the body's queries run on it: `.execute(&mut *tx)`"]
pub struct Tx {
    /// Present until it is dropped.
    transaction: Option<Transaction<'static, Postgres>>,
    place: Place,
}

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.transaction
            .as_ref()
            .expect("only `drop` takes the transaction")
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.transaction
            .as_mut()
            .expect("only `drop` takes the transaction")
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        *place = self.transaction.take();
    }
}

/// Whether the server has ended the transaction for the sake of another one.
fn may_succeed_again(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(sqlx::Error::Database(error)) = error.downcast_ref::<sqlx::Error>() {
            // serialization_failure, deadlock_detected
            return matches!(error.code().as_deref(), Some("40001" | "40P01"));
        }
        cause = error.source();
    }
    false
}

/// Any time up to a bound that doubles with each attempt, so that those who collided do not meet again.
fn wait(attempt: u32) -> Duration {
    let bound = FIRST_WAIT
        .saturating_mul(1 << attempt.min(16))
        .min(LONGEST_WAIT);
    bound.mul_f64(rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    static BANK: Database = Database::__new("bank", &[]);

    async fn transfer(account: &str, amount: i64) -> crate::Result<i64> {
        BANK.transaction(Isolation::Serializable, |mut tx| async move {
            sqlx::query("UPDATE accounts SET balance = balance + $1 WHERE name = $2")
                .bind(amount)
                .bind(account)
                .execute(&mut *tx)
                .await?;
            let balance = sqlx::query_scalar("SELECT balance FROM accounts WHERE name = $1")
                .bind(account)
                .fetch_one(&mut *tx)
                .await?;
            Ok(balance)
        })
        .await
    }

    /// An axum handler's future must be `Send`; this compiles or it does not.
    #[test]
    fn a_transaction_can_stand_in_a_handler() {
        fn check(_future: impl Future<Output = crate::Result<i64>> + Send) {}
        let account = String::from("a");
        check(transfer(&account, 1));
    }

    #[test]
    fn waits_are_bounded() {
        for attempt in 1..40 {
            assert!(wait(attempt) <= LONGEST_WAIT);
        }
    }
}
