//! Why a subcommand did not do what it was asked: problems to show, and the exit code. Does not know how they look.

use std::path::{Path, PathBuf};

use underlay_model::Problem;

/// The outcome of a subcommand that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code: [`Self::FAILED`] or [`Self::USAGE`].
    pub(crate) code: u8,
    /// What is wrong; empty when somebody else, such as cargo, has said it already.
    pub(crate) problems: Vec<Problem>,
    /// The folder that the problems' files are relative to.
    pub(crate) root: Option<PathBuf>,
}

impl Failure {
    /// The exit code when something failed or problems were found.
    pub(crate) const FAILED: u8 = 1;
    /// The exit code when the command line is not right.
    pub(crate) const USAGE: u8 = 2;

    /// One thing failed.
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self::problems(vec![Problem::error(message, [])])
    }

    /// Problems were found.
    pub(crate) fn problems(problems: Vec<Problem>) -> Self {
        Self {
            code: Self::FAILED,
            problems,
            root: None,
        }
    }

    /// Problems were found in the source below `root`.
    pub(crate) fn in_source(problems: Vec<Problem>, root: PathBuf) -> Self {
        Self {
            root: Some(root),
            ..Self::problems(problems)
        }
    }

    /// The command line is not right.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: Self::USAGE,
            ..Self::error(message)
        }
    }

    /// What an operation on a file failed with.
    pub(crate) fn io(action: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::error(format!(
            "cannot {action} {}: {}",
            path.display(),
            os_text(error)
        ))
    }
}

impl From<underlay_local::Error> for Failure {
    fn from(error: underlay_local::Error) -> Self {
        Self::error(error.to_string())
    }
}

impl From<underlay_local::Errors> for Failure {
    fn from(errors: underlay_local::Errors) -> Self {
        Self::problems(
            errors
                .0
                .iter()
                .map(|error| Problem::error(error.to_string(), []))
                .collect(),
        )
    }
}

/// The text of an operating system error, without `(os error 2)`.
pub(crate) fn os_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}
