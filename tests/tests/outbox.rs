//! Publishing in a transaction, and handlers whose effects happen once, by the handles that users have. The server of the
//! test cluster comes from the ladder.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use underlay::prelude::*;
use underlay::{DeliveryTx, ErrorKind, PublishOptions, sqlx, testing};

#[database("mail", migrations = "migrations/mailroom", outbox)]
static MAIL: Database;

#[database("plain")]
static PLAIN: Database;

#[derive(Debug, Clone, PartialEq, Message, Serialize, Deserialize)]
struct Letter {
    #[message(attribute)]
    mailbox: String,
    number: i64,
}

#[topic("letters", ordered_by = mailbox)]
static LETTERS: Topic<Letter>;

#[reference(LETTERS)]
static LETTERS_OF_ANOTHER: TopicRef<Letter>;

#[subscription(LETTERS, "receive")]
async fn receive(letter: Letter, delivery: &Delivery) -> underlay::Result<()> {
    write(
        "received",
        &mut *MAIL.acquire().await?,
        delivery.id.as_str(),
        &letter,
    )
    .await
}

#[topic("parcels")]
static PARCELS: Topic<Letter>;

/// Whatever the parcel asks for.
#[subscription(PARCELS, "unpack", idempotent_in = MAIL, ack_deadline = "1s")]
async fn unpack(parcel: Letter, delivery: &Delivery) -> underlay::Result<()> {
    static FAILURES: AtomicU32 = AtomicU32::new(0);
    let mut tx = delivery.tx().await?;
    write("received", &mut tx, delivery.id.as_str(), &parcel).await?;
    let answer = Letter {
        mailbox: format!("answer to {}", parcel.mailbox),
        number: parcel.number,
    };
    LETTERS.publish_in(&mut tx, &answer).await?;
    match &*parcel.mailbox {
        "fails" => Err(format!("failure {}", FAILURES.fetch_add(1, Ordering::Relaxed)).into()),
        "panics" => panic!("as handlers do"),
        "hangs" => std::future::pending().await,
        "leaks" => {
            std::mem::forget::<DeliveryTx>(tx);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Has no transaction.
#[topic("postcards")]
static POSTCARDS: Topic<Letter>;

#[subscription(POSTCARDS, "read")]
async fn read(_: Letter, delivery: &Delivery) -> underlay::Result<()> {
    delivery.tx().await.map(drop)
}

fn letter(mailbox: &str, number: i64) -> Letter {
    Letter {
        mailbox: mailbox.to_owned(),
        number,
    }
}

async fn write(
    table: &str,
    connection: &mut sqlx::PgConnection,
    message_id: &str,
    letter: &Letter,
) -> underlay::Result<()> {
    let sql = match table {
        "received" => "INSERT INTO received (message_id, mailbox, number) VALUES ($1, $2, $3)",
        _ => "INSERT INTO posted (message_id, mailbox, number) VALUES ($1, $2, $3)",
    };
    sqlx::query(sql)
        .bind(message_id)
        .bind(&letter.mailbox)
        .bind(letter.number)
        .execute(connection)
        .await?;
    Ok(())
}

type Row = (String, String, i64);

async fn received() -> Vec<Row> {
    let rows = sqlx::query_as("SELECT message_id, mailbox, number FROM received ORDER BY row");
    rows.fetch_all(&*MAIL).await.unwrap()
}

async fn count(sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&*MAIL).await.unwrap()
}

const WAITING: &str = "SELECT count(*) FROM underlay.outbox";
const HANDLED: &str = "SELECT count(*) FROM underlay.handled";

#[underlay::test]
async fn what_is_committed_is_published_once_under_its_id() {
    let mut tx = MAIL.begin().await.unwrap();
    let one = LETTERS.publish_in(&mut tx, &letter("a", 1)).await.unwrap();
    assert_eq!(testing::drain().await.unwrap(), 0, "not before the commit");
    tx.commit().await.unwrap();
    let two = MAIL
        .transaction(underlay::Isolation::Serializable, |mut tx| async move {
            LETTERS_OF_ANOTHER
                .publish_in(&mut tx, &letter("a", 2))
                .await
        })
        .await
        .unwrap();
    assert_eq!(testing::drain().await.unwrap(), 2);
    assert_eq!(testing::drain().await.unwrap(), 0);
    let expected = [
        (one.to_string(), "a".to_owned(), 1),
        (two.to_string(), "a".to_owned(), 2),
    ];
    assert_eq!(received().await, expected);
    assert_eq!(
        LETTERS.published().unwrap(),
        [letter("a", 1), letter("a", 2)]
    );
    assert_eq!(count(WAITING).await, 0);
}

#[underlay::test]
async fn what_is_rolled_back_is_not_published() {
    let mut tx = MAIL.begin().await.unwrap();
    LETTERS.publish_in(&mut tx, &letter("a", 1)).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(testing::drain().await.unwrap(), 0);
    assert_eq!(received().await, []);
}

#[underlay::test]
async fn writers_of_one_key_are_sent_in_the_order_of_their_commits() {
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            tokio::spawn(async move {
                for number in 0..20 {
                    let letter = letter("shared", writer * 100 + number);
                    let mut tx = MAIL.begin().await.unwrap();
                    let id = LETTERS.publish_in(&mut tx, &letter).await.unwrap();
                    // Others of the key wait until this one commits, so these rows are in the order of the commits.
                    write("posted", &mut tx, id.as_str(), &letter)
                        .await
                        .unwrap();
                    tx.commit().await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(testing::drain().await.unwrap(), 160);
    let posted = sqlx::query_as("SELECT message_id, mailbox, number FROM posted ORDER BY row");
    let posted: Vec<Row> = posted.fetch_all(&*MAIL).await.unwrap();
    assert_eq!(received().await, posted);
}

#[underlay::test]
async fn a_delay_holds_its_key_and_no_other() {
    let mut tx = MAIL.begin().await.unwrap();
    let later = PublishOptions {
        delay: Some(Duration::from_secs(3600)),
        ..PublishOptions::default()
    };
    let tx_ref = &mut *tx;
    LETTERS.publish_in(tx_ref, &letter("a", 1)).await.unwrap();
    LETTERS
        .publish_in_with(tx_ref, &letter("a", 2), later)
        .await
        .unwrap();
    LETTERS.publish_in(tx_ref, &letter("a", 3)).await.unwrap();
    LETTERS.publish_in(tx_ref, &letter("b", 4)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(testing::drain().await.unwrap(), 2);
    let numbers = async || received().await.iter().map(|it| it.2).collect::<Vec<_>>();
    assert_eq!(numbers().await, [1, 4]);
    // An hour passes. The service may not change when a message is due, so it is stored anew.
    sqlx::query(
        "WITH waiting AS (DELETE FROM underlay.outbox RETURNING *) \
         INSERT INTO underlay.outbox \
             (id, message_id, topic, ordering_key, attributes, body, stored_at, due_at) \
         OVERRIDING SYSTEM VALUE \
         SELECT id, message_id, topic, ordering_key, attributes, body, stored_at, clock_timestamp() FROM waiting",
    )
    .execute(&*MAIL)
    .await
    .unwrap();
    assert_eq!(testing::drain().await.unwrap(), 2);
    assert_eq!(numbers().await, [1, 4, 2, 3]);
}

#[underlay::test]
async fn what_can_never_be_sent_is_set_aside() {
    let publish = async |number| {
        let mut connection = MAIL.acquire().await.unwrap();
        LETTERS
            .publish_in(&mut connection, &letter("a", number))
            .await
            .unwrap();
    };
    publish(1).await;
    sqlx::query(
        "INSERT INTO underlay.outbox (message_id, topic, ordering_key, attributes, body) \
         VALUES (repeat('0', 32), 'letters', 'a', '{}', convert_to(repeat('x', 10000001), 'UTF8'))",
    )
    .execute(&*MAIL)
    .await
    .unwrap();
    publish(2).await;
    assert_eq!(testing::drain().await.unwrap(), 2);
    let error: String = sqlx::query_scalar("SELECT error FROM underlay.outbox")
        .fetch_one(&*MAIL)
        .await
        .unwrap();
    assert!(error.contains("at most 10000000 are possible"), "{error}");
    publish(3).await;
    assert_eq!(testing::drain().await.unwrap(), 1, "nor looked at again");
}

#[underlay::test]
async fn what_is_too_large_is_refused_before_it_is_stored() {
    let mut tx = MAIL.begin().await.unwrap();
    let large = letter(&"x".repeat(10_000_000), 1);
    let error = PARCELS.publish_in(&mut tx, &large).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let text = error.to_string();
    assert!(
        text.ends_with("to topic `parcels`: its broker takes at most 10000000"),
        "{text}"
    );
    // The transaction goes on.
    PARCELS.publish_in(&mut tx, &letter("a", 1)).await.unwrap();
    tx.commit().await.unwrap();
}

#[underlay::test]
async fn a_database_without_an_outbox_says_what_to_declare() {
    let mut tx = PLAIN.begin().await.unwrap();
    let error = LETTERS
        .publish_in(&mut tx, &letter("a", 1))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert_eq!(
        error.to_string(),
        "a message of topic `letters` was published in a database without an outbox: declare it \
         `#[database(\"orders\", outbox)]`"
    );
}

/// Three messages with one id are what a broker delivers when acknowledgements are lost, as by a crash after the commit.
#[underlay::test]
async fn delivered_thrice_has_its_effect_once() {
    let mut connection = MAIL.acquire().await.unwrap();
    let id = PARCELS
        .publish_in(&mut connection, &letter("a", 1))
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO underlay.outbox (message_id, topic, attributes, body) \
         SELECT message_id, topic, attributes, body FROM underlay.outbox, generate_series(1, 2)",
    )
    .execute(&mut *connection)
    .await
    .unwrap();
    assert_eq!(PARCELS.drain_subscriptions().await.unwrap(), 3);
    assert_eq!(received().await, [(id.to_string(), "a".to_owned(), 1)]);
    assert_eq!(count(HANDLED).await, 1);
    // And so has what it publishes in the transaction.
    assert_eq!(testing::drain().await.unwrap(), 1);
    assert_eq!(LETTERS.published().unwrap(), [letter("answer to a", 1)]);
}

#[underlay::test]
async fn what_fails_has_no_effect() {
    for (parcel, reason) in [
        ("fails", "failure"),
        ("panics", "the handler panicked: as handlers do"),
        ("hangs", "the handler took longer than 1s"),
    ] {
        PARCELS.publish(&letter(parcel, 1)).await.unwrap();
        let error = testing::drain().await.unwrap_err().to_string();
        assert!(error.contains(reason), "{parcel}: {error}");
        assert_eq!(received().await, [], "{parcel}");
        assert_eq!(count(HANDLED).await, 0, "{parcel}");
        assert_eq!(count(WAITING).await, 0, "{parcel}");
    }
    PARCELS.publish(&letter("a", 2)).await.unwrap();
    assert_eq!(
        PARCELS.drain_subscriptions().await.unwrap(),
        1,
        "the connections are usable"
    );
    assert_eq!(received().await.len(), 1);
}

#[underlay::test]
async fn a_transaction_that_is_kept_is_not_committed() {
    PARCELS.publish(&letter("leaks", 1)).await.unwrap();
    let error = testing::drain().await.unwrap_err().to_string();
    assert!(
        error.contains("something it began still holds `delivery.tx()`"),
        "{error}"
    );
    assert_eq!(received().await, []);
    PARCELS.publish(&letter("a", 2)).await.unwrap();
    assert_eq!(
        PARCELS.drain_subscriptions().await.unwrap(),
        1,
        "others go on"
    );
}

#[underlay::test]
async fn without_a_record_there_is_no_transaction() {
    POSTCARDS.publish(&letter("a", 1)).await.unwrap();
    let error = testing::drain().await.unwrap_err().to_string();
    assert!(
        error.contains(
            "declare the database that it is of, `#[subscription(…, idempotent_in = ORDERS)]`"
        ),
        "{error}"
    );
}
