//! `cargo underlay db prepare`: what sqlx found out about the checked queries, in files, so that the code compiles
//! without a database.
//!
//! sqlx writes such a file whenever it expands a query against a database. So each package is compiled anew, in a
//! target folder of its own, where nothing is mistaken for compiled and nobody's build is disturbed. All packages are
//! compiled by one run of cargo, which calls this program in the compiler's place: the databases of two packages are
//! two, and cargo's environment is one.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use serde::Deserialize;
use serde_json::json;
use underlay_model::Problem;

use crate::{
    arguments::CargoArguments,
    checked::{self, Checked},
    command::db::{migrate::migrate, source},
    environment::{Environment, Place, Role},
    failure::{Failure, os_text},
    file::{self, Access},
    output::Output,
    session::block_on,
    workspace::Workspace,
};

/// The variable with which this program, called in the compiler's place, hears what each package's environment is.
const WRAPPER: &str = "UNDERLAY_PREPARE";

/// The folder in a package where sqlx looks for its files.
const FOLDER: &str = ".sqlx";

/// Write what sqlx needs to compile checked queries without a database: the `.sqlx` folder of each package.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The database whose queries are meant; absent: all.
    name: Option<String>,
    /// Write nothing, and fail if something would have been written.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    cargo: CargoArguments,
}

/// The variables of the packages with checked queries, by the packages' folders.
type Variables = BTreeMap<PathBuf, BTreeMap<String, String>>;

/// Files by their names.
type Files = BTreeMap<String, String>;

pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<ExitCode, Failure> {
    if arguments.place.env.is_some() {
        return Err(Failure::usage(
            "`db prepare` applies migrations and asks the database of this machine; leave `--env` away",
        ));
    }
    let (workspace, databases) = source(&arguments.place, output)?;
    let name = match &arguments.name {
        Some(name) => Some(&databases.one(Some(name))?.name),
        None => None,
    };
    let packages = workspace.scope(&arguments.place.selection)?;
    let mut checked = checked::find(&workspace, &packages, &databases)?;
    checked.retain(|it| name.is_none_or(|name| it.database.name == *name));
    if checked.is_empty() {
        output.note("there are no queries that sqlx checks (`sqlx::query!` and its like)");
        if output.is_json() {
            output.document(&json!([]));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let folder = workspace
        .target_directory()
        .join("underlay")
        .join("prepare");
    let prepared = block_on(async {
        let environment = Environment::open(&arguments.place, &workspace, &databases).await?;
        migrate(&environment, &databases.all).await?;
        compile(
            &workspace,
            &environment,
            &checked,
            &folder,
            &arguments.cargo.cargo,
        )
    })?;
    let mut documents = Vec::new();
    let mut stale = Vec::new();
    for (
        Checked {
            package, folder, ..
        },
        files,
    ) in checked.iter().zip(prepared)
    {
        let folder = folder.join(FOLDER);
        let differences = differences(&read(&folder)?, &files);
        if !arguments.check {
            write(&folder, &files)?;
        }
        let shown = workspace.relative(&folder);
        for (file, what) in &differences {
            stale.push(Problem::error(format!("{shown}/{file} {what}"), []));
        }
        let queries = match files.len() {
            1 => "1 query".to_owned(),
            count => format!("{count} queries"),
        };
        output.line(match (arguments.check, differences.len()) {
            (_, 0) => format!("{shown}: {queries}, as they were"),
            (true, count) => format!("{shown}: {queries}, {count} stale"),
            (false, count) => format!("{shown}: {queries}, {count} changed"),
        });
        documents.push(json!({
            "package": package.name,
            "folder": folder,
            "queries": files.len(),
            "changed": differences.keys().collect::<Vec<_>>(),
        }));
    }
    if arguments.check && !stale.is_empty() {
        stale.push(Problem::error(
            "the files of checked queries are not those of the source and the migrations; run `cargo underlay db prepare` \
             and commit them",
            [],
        ));
        return Err(Failure::problems(stale));
    }
    if output.is_json() {
        output.document(&documents);
    }
    Ok(ExitCode::SUCCESS)
}

/// Compiles the packages, and gives for each the files that sqlx wrote.
fn compile(
    workspace: &Workspace,
    environment: &Environment,
    checked: &[Checked<'_>],
    folder: &Path,
    cargo: &[OsString],
) -> Result<Vec<Files>, Failure> {
    let target = folder.join("target");
    let queries = folder.join(format!("queries-{}", std::process::id()));
    let _removed = Removed(queries.clone());
    let mut variables = Variables::new();
    let mut folders = Vec::new();
    let mut packages: Vec<&str> = Vec::new();
    for it in checked {
        let folder = queries.join(it.package.name.as_str());
        fs::create_dir_all(&folder).map_err(|error| Failure::io("create", &folder, &error))?;
        let uri = environment.access(it.database, Role::Service)?.uri();
        let theirs = BTreeMap::from([
            (it.variable.clone(), uri),
            ("SQLX_OFFLINE".to_owned(), "false".to_owned()),
            ("SQLX_OFFLINE_DIR".to_owned(), folder.display().to_string()),
        ]);
        variables.insert(it.folder.clone(), theirs);
        packages.extend(["-p", it.package.name.as_str()]);
        folders.push(folder);
    }
    if target.is_dir() {
        let mut clean = workspace.cargo("clean");
        clean.args(&packages).arg("--target-dir").arg(&target);
        succeed(clean.stderr(Stdio::null()), "cargo clean")?;
    }
    let this = std::env::current_exe().map_err(|error| {
        Failure::error(format!("cannot find this program: {}", os_text(&error)))
    })?;
    let text = serde_json::to_string(&variables)
        .map_err(|error| Failure::error(format!("a package's folder is no text: {error}")))?;
    let mut check = workspace.cargo("check");
    check
        .arg("--all-targets")
        .args(&packages)
        .arg("--target-dir")
        .arg(&target)
        .args(cargo)
        .env(WRAPPER, text)
        .env("RUSTC_WORKSPACE_WRAPPER", this)
        // What a cache gives back has not been expanded.
        .env("RUSTC_WRAPPER", "");
    succeed(&mut check, "cargo check")?;
    folders.iter().map(|it| read(it)).collect()
}

fn succeed(command: &mut Command, what: &str) -> Result<(), Failure> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Failure::error(format!(
            "{what} failed; its messages stand above, and no file was changed"
        ))),
        Err(error) => Err(Failure::error(format!(
            "cannot run {what}: {}; is cargo installed?",
            os_text(&error)
        ))),
    }
}

/// A folder that is removed in the end.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // It lies in the target folder, where what is left over harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// sqlx's files in a folder; none if there is no such folder.
fn read(folder: &Path) -> Result<Files, Failure> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Files::new()),
        Err(error) => return Err(Failure::io("read", folder, &error)),
    };
    let mut files = Files::new();
    for entry in entries {
        let entry = entry.map_err(|error| Failure::io("read", folder, &error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("query-") && name.ends_with(".json") {
            let path = entry.path();
            let text = fs::read_to_string(&path);
            files.insert(
                name,
                text.map_err(|error| Failure::io("read", &path, &error))?,
            );
        }
    }
    Ok(files)
}

/// What is wrong with the files that are there, by file.
fn differences(old: &Files, new: &Files) -> BTreeMap<String, String> {
    let mut differences = BTreeMap::new();
    for (name, text) in new {
        match old.get(name) {
            Some(old) if old == text => {}
            Some(_) => {
                let what = format!("says something else of the query `{}`", query(text));
                differences.insert(name.clone(), what);
            }
            None => {
                let what = format!("is missing, for the query `{}`", query(text));
                differences.insert(name.clone(), what);
            }
        }
    }
    for (name, text) in old.iter().filter(|(name, _)| !new.contains_key(*name)) {
        let what = format!("is for the query `{}`, which is there no more", query(text));
        differences.insert(name.clone(), what);
    }
    differences
}

/// The query that a file is for, on one line.
fn query(text: &str) -> String {
    #[derive(Deserialize)]
    struct File {
        query: String,
    }
    let query = serde_json::from_str::<File>(text).map(|it| it.query);
    let query = query.unwrap_or_default();
    query.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Makes the files in a folder these and no others.
fn write(folder: &Path, files: &Files) -> Result<(), Failure> {
    let old = read(folder)?;
    if !files.is_empty() {
        fs::create_dir_all(folder).map_err(|error| Failure::io("create", folder, &error))?;
    }
    for (name, text) in files
        .iter()
        .filter(|(name, text)| old.get(*name) != Some(*text))
    {
        let text = text.strip_suffix('\n').unwrap_or(text);
        file::write(&folder.join(name), text, Access::Everybody)?;
    }
    for name in old.keys().filter(|it| !files.contains_key(*it)) {
        let path = folder.join(name);
        fs::remove_file(&path).map_err(|error| Failure::io("remove", &path, &error))?;
    }
    Ok(())
}

/// The compiler, if cargo called this program in its place: with the variables of the package that is compiled.
pub(crate) fn wrapper(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let variables = std::env::var(WRAPPER).ok()?;
    let variables: Variables = serde_json::from_str(&variables).ok()?;
    let program = arguments.nth(1)?;
    let mut rustc = Command::new(&program);
    rustc.args(arguments).env_remove(WRAPPER);
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    if let Some(theirs) = package.and_then(|it| variables.get(&it)) {
        rustc.envs(theirs);
    }
    let code = match rustc.status() {
        Ok(status) => status.code().and_then(|it| u8::try_from(it).ok()),
        Err(error) => {
            let (program, why) = (program.to_string_lossy(), os_text(&error));
            let failure = Failure::error(format!("cannot run {program}: {why}"));
            Output::new(false).failure(&failure);
            None
        }
    };
    Some(ExitCode::from(code.unwrap_or(Failure::FAILED)))
}
