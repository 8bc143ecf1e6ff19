//! Asks before data is lost; never where nobody can answer.

use std::io::{IsTerminal, Write, stderr, stdin};

use crate::failure::Failure;

/// Goes on if `yes`, or if a person at the terminal agrees.
///
/// # Errors
///
/// When nobody can be asked, or the answer is not yes.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !stdin().is_terminal() {
        return Err(Failure::usage(format!(
            "{question} Nobody can be asked here, since standard input is no terminal; to agree, add --yes"
        )));
    }
    let _ = write!(stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    let read = stdin().read_line(&mut answer);
    match (read, answer.trim()) {
        (Ok(_), "y" | "Y" | "yes") => Ok(()),
        _ => Err(Failure::error("nothing was done")),
    }
}
