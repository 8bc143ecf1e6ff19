//! What a million messages cost in memory that wait for a subscriber which handles none.

use crate::{EVENTS, Event, OPEN, start, stop};

const MESSAGES: u64 = 1_000_000;
const BATCH: u64 = 1_000;
/// By how much the memory may grow from the first tenth of the messages to the last, in MiB.
const GROWTH: f64 = 32.0;

pub(crate) async fn measure(broker: &str) -> Result<Vec<String>, String> {
    OPEN.send_replace(false);
    let running = start().await?;
    println!("\n{broker}: messages that wait, and the memory of the process");
    println!("  {:>9}  {:>7.1} MiB", 0, resident()?);
    let mut early = 0.0;
    let mut late = 0.0;
    for first in (0..MESSAGES).step_by(BATCH as usize) {
        let batch: Vec<Event> = (first..first + BATCH).map(Event::new).collect();
        let published = EVENTS.publish_batch(&batch).await;
        published.map_err(|error| format!("{error:?}"))?;
        let waiting = first + BATCH;
        if waiting.is_multiple_of(MESSAGES / 10) {
            late = resident()?;
            if waiting == MESSAGES / 10 {
                early = late;
            }
            println!("  {waiting:>9}  {late:>7.1} MiB");
        }
    }
    OPEN.send_replace(true);
    stop(running).await?;
    let growth = late - early;
    println!("  from a tenth of them to all: {growth:+.1} MiB ({GROWTH} are allowed)");
    Ok(if growth > GROWTH {
        vec![format!("{broker}: the memory grew by {growth:.1} MiB")]
    } else {
        Vec::new()
    })
}

/// The memory of this process in MiB, from <https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>.
fn resident() -> Result<f64, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes =
        line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    kilobytes
        .map(|it| it / 1024.0)
        .ok_or_else(|| "/proc/self/status has no VmRSS".to_owned())
}
