//! The scheduler of a local run: each job at its times, in UTC, and never twice at once.
//!
//! A local application is one process, so nobody else could run the same job and no lease is needed.

use std::str::FromStr as _;
use std::time::SystemTime;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use underlay_model::Model;
use underlay_model::schedule::Schedule;

use crate::server::Jobs;

/// Runs every declared job on its schedule until `stop` turns true. A job that still runs when its next time comes
/// misses that time.
///
/// # Errors
///
/// The schedules that cannot be read, which the attributes have checked.
pub(crate) fn start(
    model: &Model,
    jobs: &Jobs,
    stop: &watch::Receiver<bool>,
) -> Result<Vec<JoinHandle<()>>, Vec<String>> {
    let mut problems = Vec::new();
    let mut planned = Vec::new();
    for cron in &model.crons {
        let Some(job) = jobs.get(&cron.name) else {
            continue;
        };
        match Schedule::from_str(&cron.schedule) {
            Ok(schedule) => planned.push((cron.name.clone(), schedule, *job)),
            Err(error) => problems.push(format!(
                "{}: the cron `{}`: {error}",
                cron.source, cron.name
            )),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let start = |(name, schedule, job): (String, Schedule, crate::cron::CronHandler)| {
        let mut stop = stop.clone();
        tokio::spawn(async move {
            while let Some(next) = schedule.next_after(SystemTime::now()) {
                let wait = next.duration_since(SystemTime::now()).unwrap_or_default();
                tokio::select! {
                    _ = stop.wait_for(|stopped| *stopped) => break,
                    () = tokio::time::sleep(wait) => {}
                }
                // A task of its own, so that a panic ends this run and not the schedule.
                match tokio::spawn(job()).await {
                    Ok(Ok(())) => tracing::info!(target: "underlay", cron = name, "ran"),
                    Ok(Err(error)) => {
                        let error = crate::error::chain(&*error);
                        tracing::error!(target: "underlay", cron = name, error, "the cron failed");
                    }
                    Err(_) => {
                        tracing::error!(target: "underlay", cron = name, "the cron's handler panicked")
                    }
                }
            }
        })
    };
    Ok(planned.into_iter().map(start).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use underlay_model::model::{Application, Cron};

    use super::*;
    use crate::subscription::HandlerFuture;

    #[tokio::test(start_paused = true)]
    async fn a_job_runs_again_after_it_failed_and_after_it_panicked() {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        fn job() -> HandlerFuture {
            let run = RUNS.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                match run {
                    0 => Err("not today".into()),
                    1 => panic!("at all"),
                    _ => Ok(()),
                }
            })
        }
        let mut model = Model::empty(Application {
            name: "test".to_owned(),
            version: String::new(),
        });
        model.crons.push(Cron {
            name: "tidy".to_owned(),
            title: "Tidy".to_owned(),
            schedule: "every:1m".to_owned(),
            handler: "tidy".to_owned(),
            service: String::new(),
            doc: String::new(),
            source: underlay_model::Source::default(),
        });
        let (stop, stopped) = watch::channel(false);
        let jobs = Jobs::from([("tidy".to_owned(), job as crate::cron::CronHandler)]);
        let tasks = start(&model, &jobs, &stopped).unwrap();
        while RUNS.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        stop.send_replace(true);
        for task in tasks {
            task.await.unwrap();
        }
    }
}
