//! How results and problems look: one JSON document, or text for people as rustc writes it. Decides nothing.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;
use underlay_model::{Problem, Severity, Source};

use crate::failure::Failure;

/// How many places of one problem are shown to people; JSON has all.
const PLACES: usize = 4;

/// Where a command's results go.
pub(crate) struct Output {
    json: bool,
}

/// A problem as `--json` writes it.
#[derive(Serialize)]
struct ProblemEntry<'a> {
    severity: &'static str,
    message: &'a str,
    sources: &'a [Source],
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether standard output holds one JSON document and nothing else.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Writes the result as JSON, whatever the mode.
    pub(crate) fn document(&self, document: &impl Serialize) {
        self.text(&format!("{}\n", pretty(document)));
    }

    /// Writes to standard output as it is.
    pub(crate) fn text(&self, text: &str) {
        // Who closes the pipe has read enough.
        let _ = anstream::stdout().write_all(text.as_bytes());
    }

    /// Writes one line of a result for people.
    pub(crate) fn line(&self, line: impl std::fmt::Display) {
        if !self.json {
            self.text(&format!("{line}\n"));
        }
    }

    /// Says what the command did or does, beside its result.
    pub(crate) fn note(&self, message: &str) {
        self.report(
            &Renderer::styled().render(&[Group::with_title(Level::NOTE.primary_title(message))]),
        );
    }

    /// Shows problems to people; paths are relative to `root`.
    pub(crate) fn problems(&self, problems: &[Problem], root: &Path) {
        for problem in problems {
            self.report(&render(problem, root));
        }
    }

    /// Writes problems as JSON.
    pub(crate) fn problem_list(&self, problems: &[Problem]) {
        self.document(&entries(problems));
    }

    /// Tells why a command failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            self.problem_list(&failure.problems);
        } else {
            self.problems(
                &failure.problems,
                failure.root.as_ref().unwrap_or(&PathBuf::new()),
            );
        }
    }

    fn report(&self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{text}");
    }
}

/// Problems as a part of a JSON document.
pub(crate) fn entries(problems: &[Problem]) -> impl Serialize + '_ {
    problems
        .iter()
        .map(|problem| ProblemEntry {
            severity: match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            message: &problem.message,
            sources: &problem.sources,
        })
        .collect::<Vec<_>>()
}

/// JSON for people and tools: indented, fields in the order of the type.
pub(crate) fn pretty(document: &impl Serialize) -> String {
    serde_json::to_string_pretty(document)
        .expect("our documents have only text keys and numbers JSON can hold")
}

fn render(problem: &Problem, root: &Path) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let shown: Vec<_> = problem
        .sources
        .iter()
        .take(PLACES)
        .map(|it| (it, text(root, it)))
        .collect();
    let mut group = Group::with_title(level.primary_title(problem.message.as_str()));
    for (source, text) in &shown {
        group = match text
            .as_ref()
            .and_then(|text| Some((text, span(text, source)?)))
        {
            Some((text, span)) => group.element(
                Snippet::source(text.as_str())
                    .path(source.file.as_str())
                    .annotation(AnnotationKind::Primary.span(span)),
            ),
            None => group.element(
                Origin::path(source.file.as_str())
                    .line(source.line as usize)
                    .char_column(source.column as usize),
            ),
        };
    }
    let hidden = problem.sources.len() - shown.len();
    let rest = format!(
        "and {hidden} more {}",
        if hidden == 1 { "place" } else { "places" }
    );
    if hidden > 0 {
        group = group.element(Level::NOTE.message(rest.as_str()));
    }
    Renderer::styled().render(&[group])
}

/// The text of the file of a place, if it lies below `root` or its path is absolute.
fn text(root: &Path, source: &Source) -> Option<String> {
    fs::read_to_string(root.join(&source.file)).ok()
}

/// The bytes of the word that stands at a place.
fn span(text: &str, source: &Source) -> Option<std::ops::Range<usize>> {
    let line = text
        .split_inclusive('\n')
        .nth(source.line.checked_sub(1)? as usize)?;
    let start = line.as_ptr() as usize - text.as_ptr() as usize;
    let (offset, _) = line
        .trim_end()
        .char_indices()
        .nth(source.column.checked_sub(1)? as usize)?;
    let word = line[offset..]
        .chars()
        .take_while(|it| it.is_alphanumeric() || *it == '_')
        .map(char::len_utf8);
    let length = word
        .sum::<usize>()
        .max(line[offset..].chars().next()?.len_utf8());
    Some(start + offset..start + offset + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(line: u32, column: u32) -> Source {
        Source {
            file: "src/main.rs".into(),
            line,
            column,
            ..Source::default()
        }
    }

    #[test]
    fn the_word_at_a_place() {
        let text = "use a;\n\npub static ÄRGER: Topic = 1;\n";
        let check = |line, column, word: Option<&str>| {
            assert_eq!(
                span(text, &source(line, column)).map(|it| &text[it]),
                word,
                "{line}:{column}"
            );
        };
        check(1, 5, Some("a"));
        check(3, 12, Some("ÄRGER"));
        check(3, 17, Some(":"));
        check(3, 1, Some("pub"));
        check(2, 1, None);
        check(0, 1, None);
        check(1, 0, None);
        check(9, 1, None);
        check(1, 99, None);
    }

    #[test]
    fn a_problem_shows_its_line() {
        let folder = std::env::temp_dir().join(format!("underlay-output-{}", std::process::id()));
        fs::create_dir_all(folder.join("src")).unwrap();
        fs::write(
            folder.join("src/main.rs"),
            "pub static A: Topic;\npub static B: Topic;\n",
        )
        .unwrap();
        let problem = Problem::error(
            "two topics are named `a`; rename one",
            [source(1, 12), source(7, 1)],
        );
        let rendered = anstream::adapter::strip_str(&render(&problem, &folder)).to_string();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(
            rendered,
            "error: two topics are named `a`; rename one\n \
             --> src/main.rs:1:12\n  \
               |\n\
             1 | pub static A: Topic;\n  \
               |            ^\n \
              ::: src/main.rs:7:1"
        );
    }
}
