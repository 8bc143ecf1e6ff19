//! What a process prints, in a form that is the same on every machine and in every run.

use crate::{application::repository, folder::Folder};

/// The text without times, process numbers, ports and folders of this run.
pub(crate) fn plain(output: &str, folder: &Folder) -> String {
    let lines: Vec<&str> = output.lines().map(without_time).collect();
    let mut text = lines.join("\n");
    for (value, name) in [
        (folder.root().display().to_string(), "<checkout>"),
        (repository().display().to_string(), "<repository>"),
        (folder.checkout.id.clone(), "<id>"),
    ] {
        text = text.replace(&value, name);
    }
    for (before, name) in [
        ("127.0.0.1:", "<port>"),
        ("0.0.0.0:", "<port>"),
        ("port ", "<port>"),
        ("process ", "<pid>"),
    ] {
        text = masked(&text, before, name);
    }
    text
}

/// A line of the log without the time that it starts with.
fn without_time(line: &str) -> &str {
    match line.split_once('Z') {
        Some((time, rest))
            if time.starts_with("20") && time.contains('T') && rest.starts_with(' ') =>
        {
            rest.trim_start()
        }
        _ => line,
    }
}

/// The text with a name in place of the number after each `before`; port 0 and 4000 stay.
pub(crate) fn masked(text: &str, before: &str, name: &str) -> String {
    let mut parts = text.split(before);
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|it: char| it.is_ascii_digit());
        let number = &part[..part.len() - rest.len()];
        masked.push_str(before);
        masked.push_str(if matches!(number, "" | "0" | "4000") {
            number
        } else {
            name
        });
        masked.push_str(rest);
    }
    masked
}

/// The text with a name in place of what stands between two marks.
#[track_caller]
pub(crate) fn cut(text: &str, before: &str, after: &str, name: &str) -> String {
    let (start, rest) = text
        .split_once(before)
        .unwrap_or_else(|| panic!("no `{before}`: {text}"));
    let (_, end) = rest
        .split_once(after)
        .unwrap_or_else(|| panic!("no `{after}`: {text}"));
    format!("{start}{before}{name}{after}{end}")
}
