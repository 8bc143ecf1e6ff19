//! The files of the repository as the rules see them: paths from the root with `/`, and text.

use std::collections::BTreeSet;
use std::path::Path;

use super::code;
use crate::process::{self, command};

/// A file of the repository.
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: String,
    /// The text with comments and literals blanked, for `.rs` files; the same length and lines as `text`.
    pub(super) code: String,
}

impl File {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let code = if path.ends_with(".rs") {
            code::without_comments_and_literals(text)
        } else {
            String::new()
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
        }
    }

    /// The line, from 1, of a byte of the text.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.text.as_bytes()[..offset]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1
    }

    /// The line, from 1, on which `what` first stands; 1 if nowhere.
    pub(super) fn line_of(&self, what: &str) -> usize {
        self.text.find(what).map_or(1, |offset| self.line(offset))
    }
}

/// Every file that is or would be in git.
pub(super) struct Tree {
    pub(super) files: Vec<File>,
    paths: BTreeSet<String>,
}

impl Tree {
    /// What git tracks at `root`, and what it neither tracks nor ignores.
    pub(super) fn read(root: &Path) -> Result<Self, String> {
        // The clone may belong to another user than the one that runs this, as in a container.
        let list = "git -c safe.directory=* ls-files -z --cached --others --exclude-standard --deduplicate";
        let list = process::output(&mut command(root, list))?;
        let mut files = Vec::new();
        for path in list.split_terminator('\0') {
            let full = root.join(path);
            if !full.is_file() {
                continue; // deleted and not yet committed, or a submodule
            }
            let bytes =
                std::fs::read(&full).map_err(|error| format!("{path} cannot be read: {error}"))?;
            files.push(File::new(path, &String::from_utf8_lossy(&bytes)));
        }
        Ok(Self::of(files))
    }

    /// A tree of the given files.
    pub(super) fn of(files: Vec<File>) -> Self {
        let mut paths = BTreeSet::new();
        for file in &files {
            let mut path = file.path.as_str();
            paths.insert(path.to_owned());
            while let Some((folder, _)) = path.rsplit_once('/') {
                paths.insert(folder.to_owned());
                path = folder;
            }
        }
        Self { files, paths }
    }

    /// The file at a path.
    pub(super) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether a file or folder has this path, or ends in it; `*` stands for any part of one component.
    pub(super) fn has(&self, path: &str) -> bool {
        let wanted: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        self.paths.iter().any(|path| {
            let components: Vec<&str> = path.split('/').collect();
            components.len() >= wanted.len()
                && components[components.len() - wanted.len()..]
                    .iter()
                    .zip(&wanted)
                    .all(|(one, want)| fits(one, want))
        })
    }

    /// Whether a file or folder stands at the root of the repository.
    pub(super) fn at_root(&self, name: &str) -> bool {
        !name.contains('/') && self.paths.contains(name)
    }

    /// The `.rs` files.
    pub(super) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }
}

/// Whether a path's component is what a pattern with at most one `*` means.
fn fits(component: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => component == pattern,
        Some((start, end)) => {
            component.len() >= start.len() + end.len()
                && component.starts_with(start)
                && component.ends_with(end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_by_their_end() {
        let tree = Tree::of(vec![
            File::new("crates/a/src/lib.rs", ""),
            File::new("docs/x.md", ""),
        ]);
        for (path, expected) in [
            ("crates/a/src/lib.rs", true),
            ("src/lib.rs", true),
            ("crates/a", true),
            ("crates/*/src/", true),
            ("docs/*.md", true),
            ("rates/a", false),
            ("docs/y.md", false),
            ("docs/*.rs", false),
        ] {
            assert_eq!(tree.has(path), expected, "{path}");
        }
        assert!(tree.at_root("docs"));
        assert!(!tree.at_root("x.md"));
    }
}
