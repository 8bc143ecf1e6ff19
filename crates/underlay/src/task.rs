//! `UNDERLAY_TASK`: this binary as a job that does one thing, says what it did, and exits.
//!
//! It takes the same path as a start (check, infra config, connect), and neither serves nor receives.

use crate::Result;
use crate::config::configuration;
use crate::dead_letters::{self, Request};
use crate::inventory::{self, Item};
use crate::start::Connected;
use crate::subscription::HandlerFuture;

mod connect;

/// What a job does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    /// Applies the migrations of all databases.
    #[cfg(feature = "postgres")]
    Migrate,
    /// Runs every `#[underlay::seed]` function.
    Seed,
    /// Looks at the messages that subscriptions have given up, or ends them.
    DeadLetters(Request),
}

/// An `#[underlay::seed]` function as the inventory holds it.
pub type SeedHandler = fn() -> HandlerFuture;

const KNOWN: &str = "`migrate`, `seed` and `dead-letters`";
/// What begins the words of a job that is about dead letters.
const DEAD_LETTERS: &str = "dead-letters";

/// The job that the environment asks for.
///
/// # Errors
///
/// That there is no such job.
pub(crate) fn asked() -> Result<Option<Task>> {
    match std::env::var("UNDERLAY_TASK").as_deref() {
        Err(std::env::VarError::NotPresent) | Ok("") => Ok(None),
        #[cfg(feature = "postgres")]
        Ok("migrate") => Ok(Some(Task::Migrate)),
        Ok("seed") => Ok(Some(Task::Seed)),
        Ok(words) if words.split_whitespace().next() == Some(DEAD_LETTERS) => {
            let request = words
                .trim_start()
                .strip_prefix(DEAD_LETTERS)
                .unwrap_or_default();
            match Request::parse(request) {
                Ok(request) => Ok(Some(Task::DeadLetters(request))),
                Err(problem) => Err(configuration(vec![format!(
                    "UNDERLAY_TASK is `{words}`: {problem}; after `{DEAD_LETTERS}` stands {}",
                    dead_letters::FORM
                )])),
            }
        }
        Ok(other) => Err(configuration(vec![format!(
            "UNDERLAY_TASK is `{other}`; there are {KNOWN}, and without it the application starts"
        )])),
        Err(_) => Err(configuration(vec![format!(
            "UNDERLAY_TASK is not text; there are {KNOWN}"
        )])),
    }
}

/// Does the job.
///
/// # Errors
///
/// Everything that keeps it from being done.
pub(crate) async fn run(task: Task) -> Result<()> {
    let connected = connect::connect(&task).await?;
    match task {
        #[cfg(feature = "postgres")]
        Task::Migrate => {
            for it in &connected.migrated {
                for file in &it.applied {
                    say(&format!(
                        "{}: applied {} in {:.0?}",
                        it.name, file.file, file.took
                    ));
                }
                if it.applied.is_empty() {
                    say(&format!("{}: nothing to apply", it.name));
                }
            }
            connected.close().await
        }
        Task::Seed => seed(connected).await,
        Task::DeadLetters(request) => {
            let answer = request.answer(connected.subscriptions()).await;
            let closed = connected.close().await;
            say(&serde_json::to_string_pretty(&answer?)?);
            closed
        }
    }
}

async fn seed(connected: Connected) -> Result<()> {
    let seeds: Vec<(&str, SeedHandler)> = inventory::DECLARATIONS
        .iter()
        .filter_map(|it| match it.item {
            Item::Seed(name, handler) => Some((name, handler)),
            _ => None,
        })
        .collect();
    if seeds.is_empty() {
        return Err(configuration(vec![
            "there is nothing to seed with: put a `seed.sql` into a database's migrations folder and run \
             `cargo underlay db seed`, or write an `#[underlay::seed]` function"
                .to_owned(),
        ]));
    }
    // What is declared holds local servers until the end.
    let (_declared, bound) = connected.bind()?;
    let mut problems = Vec::new();
    for (name, handler) in seeds {
        // A task of its own, so that a panic is a failure like others.
        match tokio::spawn(handler()).await {
            Ok(Ok(())) => say(&format!("{name}: done")),
            Ok(Err(error)) => problems.push(format!(
                "the seed `{name}` failed: {}",
                crate::error::chain(&*error)
            )),
            Err(_) => problems.push(format!("the seed `{name}` panicked")),
        }
    }
    bound.close().await?;
    if problems.is_empty() {
        Ok(())
    } else {
        Err(crate::Error::message(problems.join("\n")))
    }
}

#[expect(
    clippy::print_stdout,
    reason = "a job's result is its output; this is the end of the program, not a library"
)]
fn say(line: &str) {
    println!("{line}");
}
