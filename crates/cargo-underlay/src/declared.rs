//! The databases that the workspace's source declares, found without compiling it.
//!
//! Code whose queries are checked while compiling does not compile before its database is there, so the model in the
//! binary comes too late for whoever makes the database. This file reads the source as the compiler would find it; what
//! only a macro makes, it does not see. It knows no server.

use std::{
    collections::BTreeMap,
    path::{Component, PathBuf},
};

use cargo_metadata::{Package, TargetKind};
use underlay_model::{
    Model, Problem, Severity, Source,
    model::{Application, Database, Engine},
    name,
};

use crate::{
    arguments::Selection,
    failure::Failure,
    module_tree,
    output::Output,
    workspace::{Binary, Workspace},
};

/// A database that a `#[database]` declares.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    pub(crate) name: String,
    /// The `migrations` option as it is written.
    pub(crate) migrations: Option<String>,
    pub(crate) outbox: bool,
    /// The folder of the package that declares it.
    pub(crate) folder: PathBuf,
    pub(crate) source: Source,
    /// Whether a `#[cfg]` stands on it, so that another of its name can stand beside it.
    pub(crate) is_conditional: bool,
}

impl Declared {
    /// The migrations' folder.
    pub(crate) fn migrations_folder(&self) -> Option<PathBuf> {
        let path = self.folder.join(self.migrations.as_ref()?);
        let mut folder = PathBuf::new();
        for component in path.components() {
            // As the attribute does, which does not follow symbolic links either.
            match component {
                Component::ParentDir => {
                    folder.pop();
                }
                Component::CurDir => {}
                other => folder.push(other),
            }
        }
        Some(folder)
    }
}

/// The variable that holds a database's URL: `ORDER_ITEMS_DATABASE_URL` for `order-items`.
pub(crate) fn url_variable(name: &str) -> String {
    format!("{}_DATABASE_URL", name.replace('-', "_").to_uppercase())
}

/// The declared databases, by name.
pub(crate) struct Databases {
    /// The application's name.
    pub(crate) application: String,
    pub(crate) all: Vec<Declared>,
}

impl Databases {
    /// Reads the source of the package that is meant and of the members that it needs; of all, if several are meant.
    ///
    /// # Errors
    ///
    /// Every declaration that is not right, and every name that is declared twice.
    pub(crate) fn find(
        workspace: &Workspace,
        selection: &Selection,
        output: &Output,
    ) -> Result<Self, Failure> {
        let mut found = Vec::new();
        let mut problems = Vec::new();
        let binary = workspace.binary(selection).ok();
        for package in workspace.scope(selection)? {
            in_package(workspace, package, binary, &mut found, &mut problems);
        }
        let application = match binary {
            Some(binary) => binary.package.name.to_string(),
            None => workspace
                .root()
                .file_name()
                .map(|it| it.to_string_lossy().into_owned())
                .unwrap_or_default(),
        };
        let mut by_name: BTreeMap<String, Vec<Declared>> = BTreeMap::new();
        for declared in found {
            by_name
                .entry(declared.name.clone())
                .or_default()
                .push(declared);
        }
        let mut all = Vec::new();
        for (name, mut declared) in by_name {
            let certain = declared.iter().filter(|it| !it.is_conditional).count();
            if declared.len() > 1 && certain > 0 {
                let sources: Vec<_> = declared.iter().map(|it| it.source.clone()).collect();
                problems.push(Problem::error(
                    format!(
                        "several databases are named `{name}`; rename one, or name the application that is meant with \
                         `-p`, or write `named` where another package's database is meant"
                    ),
                    sources,
                ));
            }
            all.push(declared.remove(0));
        }
        if problems.iter().any(|it| it.severity == Severity::Error) {
            return Err(Failure::in_source(problems, workspace.root()));
        }
        output.problems(&problems, &workspace.root());
        Ok(Self { application, all })
    }

    /// The database of this name, or the only one.
    ///
    /// # Errors
    ///
    /// When there is none, or no single one is meant.
    pub(crate) fn one(&self, name: Option<&str>) -> Result<&Declared, Failure> {
        match (name, self.all.as_slice()) {
            (_, []) => Err(none_declared()),
            (None, [one]) => Ok(one),
            (None, _) => Err(Failure::usage(format!(
                "several databases are declared; name one of {}",
                self.names()
            ))),
            (Some(name), all) => all.iter().find(|it| it.name == name).ok_or_else(|| {
                let names = all.iter().map(|it| it.name.as_str());
                let nearest = underlay_model::nearest::did_you_mean(name, names);
                Failure::usage(format!(
                    "no database `{name}` is declared, but {}{nearest}",
                    self.names()
                ))
            }),
        }
    }

    /// The named database, or all.
    ///
    /// # Errors
    ///
    /// When there is none, or none of that name.
    pub(crate) fn some(&self, name: Option<&str>) -> Result<Vec<&Declared>, Failure> {
        match name {
            None if self.all.is_empty() => Err(none_declared()),
            None => Ok(self.all.iter().collect()),
            Some(_) => Ok(vec![self.one(name)?]),
        }
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.all.iter().map(|it| format!("`{}`", it.name)).collect();
        names.join(", ")
    }

    /// A model that declares these databases and nothing else.
    pub(crate) fn model(&self) -> Model {
        let mut model = Model::empty(Application {
            name: self.application.clone(),
            version: String::new(),
        });
        model.databases = self
            .all
            .iter()
            .map(|it| Database {
                name: it.name.clone(),
                engine: Engine::Postgres,
                migrations: Vec::new(),
                migrations_dir: it.migrations.clone(),
                outbox: it.outbox,
                service: String::new(),
                doc: String::new(),
                source: it.source.clone(),
            })
            .collect();
        model
    }
}

fn none_declared() -> Failure {
    Failure::error(
        "no database is declared: there is no `#[database] static NAME: Database;` in the source of this workspace",
    )
}

fn in_package(
    workspace: &Workspace,
    package: &Package,
    binary: Option<Binary<'_>>,
    found: &mut Vec<Declared>,
    problems: &mut Vec<Problem>,
) {
    let Some(folder) = package.manifest_path.parent() else {
        return;
    };
    let targets = package.targets.iter().filter(|it| {
        let is_linked = |kind: &TargetKind| match (kind, binary) {
            (TargetKind::Lib | TargetKind::RLib, _) | (TargetKind::Bin, None) => true,
            // Another binary is another application.
            (TargetKind::Bin, Some(binary)) => {
                package.id == binary.package.id && it.name == binary.target.name
            }
            _ => false,
        };
        it.kind.iter().any(is_linked)
    });
    let mut seen = Vec::new();
    for target in targets {
        let tree = module_tree::read(target.src_path.as_std_path());
        for (path, error) in tree.unreadable {
            let problem = Problem::warning(
                format!("databases that are declared in this file are not seen: {error}"),
                [Source {
                    file: workspace.relative(&path),
                    ..module_tree::place(&error)
                }],
            );
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        for item in tree.databases {
            let source = Source {
                package: package.name.to_string(),
                file: workspace.relative(&item.file),
                line: item.line,
                column: item.column,
                module: String::new(),
            };
            // `main.rs` and `lib.rs` may have modules in common.
            if seen.contains(&source) {
                continue;
            }
            seen.push(source.clone());
            let options = match item.options {
                Ok(options) if options.is_reference => continue,
                Ok(options) => options,
                Err(error) => {
                    let message = format!("the options of `#[database]` cannot be read: {error}");
                    problems.push(Problem::error(message, [source]));
                    continue;
                }
            };
            let name = options
                .name
                .unwrap_or_else(|| name::from_ident(&item.ident));
            if let Err(problem) = name::check_snake_or_kebab(&name) {
                problems.push(Problem::error(problem, [source]));
                continue;
            }
            found.push(Declared {
                name,
                migrations: options.migrations,
                outbox: options.outbox,
                folder: folder.into(),
                source,
                is_conditional: item.is_conditional,
            });
        }
    }
}
