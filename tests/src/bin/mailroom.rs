//! An application for the tests of the outbox: what is posted in a transaction is received, by one subscription that writes
//! down each delivery and by one whose effect happens once.

use underlay::axum::Json;
use underlay::axum::extract::Path;
use underlay::prelude::*;
use underlay::sqlx::{self, PgConnection};

#[database("mail", migrations = "migrations/mailroom", outbox)]
static MAIL: Database;

#[derive(Message, Serialize, Deserialize)]
struct Letter {
    #[message(attribute)]
    mailbox: String,
    number: i64,
}

#[topic("letters", ordered_by = mailbox)]
static LETTERS: Topic<Letter>;

/// Publishes letters in one transaction; their ids.
#[api(method = POST, path = "/post/{mailbox}/{count}", public)]
async fn post(Path((mailbox, count)): Path<(String, i64)>) -> underlay::Result<Json<Vec<String>>> {
    let mut tx = MAIL.begin().await?;
    let mut ids = Vec::new();
    for number in 0..count {
        let mailbox = mailbox.clone();
        let letter = Letter { mailbox, number };
        let id = LETTERS.publish_in(&mut tx, &letter).await?.to_string();
        sqlx::query("INSERT INTO posted (message_id, mailbox, number) VALUES ($1, $2, $3)")
            .bind(&id)
            .bind(&letter.mailbox)
            .bind(letter.number)
            .execute(&mut *tx)
            .await?;
        ids.push(id);
    }
    tx.commit().await?;
    Ok(Json(ids))
}

#[subscription(LETTERS, "each")]
async fn each(letter: Letter, delivery: &Delivery) -> underlay::Result<()> {
    let mut connection = MAIL.acquire().await?;
    write(&mut connection, delivery, &letter.mailbox, letter.number).await
}

#[subscription(LETTERS, "once", idempotent_in = MAIL)]
async fn once(letter: Letter, delivery: &Delivery) -> underlay::Result<()> {
    let mailbox = format!("once: {}", letter.mailbox);
    write(
        &mut *delivery.tx().await?,
        delivery,
        &mailbox,
        letter.number,
    )
    .await
}

async fn write(
    connection: &mut PgConnection,
    delivery: &Delivery,
    mailbox: &str,
    number: i64,
) -> underlay::Result<()> {
    sqlx::query("INSERT INTO received (message_id, mailbox, number) VALUES ($1, $2, $3)")
        .bind(delivery.id.as_str())
        .bind(mailbox)
        .bind(number)
        .execute(connection)
        .await?;
    Ok(())
}

#[underlay::main]
async fn main() -> underlay::Result<()> {
    underlay::run().await
}
