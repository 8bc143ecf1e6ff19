//! A problem: one sentence about one wrong input, and the places it is about.

use std::fmt;

use crate::model::Source;

/// One thing that is wrong, and where.
///
/// The message says what is wrong and what to do, without a full stop and without any secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong and what to do.
    pub message: String,
    /// The places in the source that it is about; the first is the one to change.
    pub sources: Vec<Source>,
    /// Whether the application can be started all the same.
    pub severity: Severity,
}

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The application must not be started.
    Error,
    /// Probably a mistake; the application can be started.
    Warning,
}

impl Problem {
    /// A problem that forbids a start.
    pub fn error(message: impl Into<String>, sources: impl IntoIterator<Item = Source>) -> Self {
        Self {
            message: message.into(),
            sources: sources.into_iter().collect(),
            severity: Severity::Error,
        }
    }

    /// A probable mistake.
    pub fn warning(message: impl Into<String>, sources: impl IntoIterator<Item = Source>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message, sources)
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}: {}", self.message)?;
        for source in &self.sources {
            write!(f, "\n  --> {source}")?;
        }
        Ok(())
    }
}
