//! `cargo underlay db new`: the files of the next migration. Needs no server.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;
use underlay_model::migration::parse_file_name;

use crate::{
    arguments::Selection, command::db::folder, declared::Databases, failure::Failure,
    output::Output, workspace::Workspace,
};

/// The digits of a number that says a moment: `20250131235959`.
const MOMENT_DIGITS: usize = 14;
/// The digits of the first number of a folder.
const FIRST_DIGITS: usize = 4;

/// Create the files of the next migration, numbered as those before it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The database, which may be left away where one is declared, and what the migration does: "add email index".
    #[arg(required = true, num_args = 1..=2, value_names = ["NAME", "DESCRIPTION"])]
    words: Vec<String>,
    /// Also the file that takes it back.
    #[arg(long)]
    down: bool,
    #[command(flatten)]
    selection: Selection,
}

pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<ExitCode, Failure> {
    let workspace = Workspace::load(&arguments.selection)?;
    let databases = Databases::find(&workspace, &arguments.selection, output)?;
    let (name, description) = match arguments.words.as_slice() {
        [name, description] => (Some(name.as_str()), description),
        [description] if databases.all.iter().any(|it| it.name == *description) => {
            return Err(Failure::usage(format!(
                "what does the migration of `{description}` do? Write it after the name, as in \
                 `cargo underlay db new {description} \"add email index\"`"
            )));
        }
        [description, ..] => (None, description),
        [] => return Err(Failure::usage("what does the migration do?")),
    };
    let declared = databases.one(name)?;
    let folder = folder(declared)?;
    let slug = slug(description)?;
    let number = next_number(&numbers(&folder)?, &now())
        .map_err(|why| Failure::error(format!("{}: {why}", folder.display())))?;
    fs::create_dir_all(&folder).map_err(|error| Failure::io("create", &folder, &error))?;
    let mut files = vec![create(
        &folder,
        &format!("{number}_{slug}.up.sql"),
        description,
    )?];
    if arguments.down {
        let comment = format!("Takes back: {description}");
        files.push(create(
            &folder,
            &format!("{number}_{slug}.down.sql"),
            &comment,
        )?);
    }
    if output.is_json() {
        output.document(&json!({ "database": declared.name, "files": files }));
    }
    for file in &files {
        output.line(workspace.relative(file));
    }
    Ok(ExitCode::SUCCESS)
}

/// The numbers of the migrations in a folder, as they are written. A folder that is not there yet has none.
fn numbers(folder: &Path) -> Result<BTreeSet<(i64, String)>, Failure> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(Failure::io("read", folder, &error)),
    };
    let mut numbers = BTreeSet::new();
    for entry in entries {
        let entry = entry.map_err(|error| Failure::io("read", folder, &error))?;
        // What does not follow the rule is for `migrate` and the compiler to say.
        if let Ok(Some(file)) = parse_file_name(&entry.file_name().to_string_lossy()) {
            let digits = file.name.split('_').next().unwrap_or_default().to_owned();
            numbers.insert((file.number, digits));
        }
    }
    Ok(numbers)
}

/// The number after the last one, in its style: counted, with as many digits; or the moment.
fn next_number(numbers: &BTreeSet<(i64, String)>, now: &str) -> Result<String, String> {
    let Some((last, digits)) = numbers.last() else {
        return Ok(format!("{:0FIRST_DIGITS$}", 1));
    };
    if digits.len() == MOMENT_DIGITS && now.parse().is_ok_and(|now: i64| now > *last) {
        return Ok(now.to_owned());
    }
    let next = last
        .checked_add(1)
        .ok_or("the last migration has the highest number there is")?;
    Ok(format!("{next:0width$}", width = digits.len()))
}

fn now() -> String {
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    now.strftime("%Y%m%d%H%M%S").to_string()
}

/// The description as it stands in a file's name.
fn slug(description: &str) -> Result<String, Failure> {
    let words = description
        .split(|it: char| !it.is_alphanumeric())
        .filter(|it| !it.is_empty())
        .map(str::to_lowercase);
    let slug = words.collect::<Vec<_>>().join("_");
    if slug.is_empty() {
        return Err(Failure::usage(
            "the description has no letter and no digit; say what the migration does, such as \"add email index\"",
        ));
    }
    Ok(slug)
}

fn create(folder: &Path, name: &str, comment: &str) -> Result<PathBuf, Failure> {
    let path = folder.join(name);
    let line = comment.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut options = fs::OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut file| writeln!(file, "-- {line}"))
        .map_err(|error| Failure::io("create", &path, &error))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_number_is_written_as_the_last() {
        let check = |last: &[(i64, &str)], expected: &str| {
            let numbers = last.iter().map(|(n, digits)| (*n, (*digits).to_owned()));
            let next = next_number(&numbers.collect(), "20260102030405");
            assert_eq!(next.as_deref().unwrap_or_else(|error| error), expected);
        };
        check(&[], "0001");
        check(&[(3, "3")], "4");
        check(&[(9, "9")], "10");
        check(&[(1, "001"), (12, "012")], "013");
        check(&[(9999, "9999")], "10000");
        check(&[(20_250_101_000_000, "20250101000000")], "20260102030405");
        // Somebody's clock was ahead.
        check(&[(20_260_102_030_405, "20260102030405")], "20260102030406");
        let last = i64::MAX.to_string();
        check(
            &[(i64::MAX, &last)],
            "the last migration has the highest number there is",
        );
    }

    #[test]
    fn descriptions() {
        assert_eq!(slug("Add e-mail  index!").unwrap(), "add_e_mail_index");
        assert!(slug("--").is_err());
    }
}
