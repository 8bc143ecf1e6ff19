//! The cargo workspace: its members, their binaries, and which member depends on which. Compiles nothing.

use std::{collections::BTreeMap, path::PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, Target, TargetKind};

use crate::{arguments::Selection, failure::Failure};

/// The workspace that a command works on.
pub(crate) struct Workspace {
    metadata: Metadata,
    manifest_path: Option<PathBuf>,
    /// What cargo's environment has besides when it compiles.
    variables: Vec<(String, String)>,
}

/// One binary target.
#[derive(Clone, Copy)]
pub(crate) struct Binary<'a> {
    pub(crate) package: &'a Package,
    pub(crate) target: &'a Target,
}

/// A member that another member needs, and how.
pub(crate) struct Dependency<'a> {
    pub(crate) package: &'a Package,
    /// The library target.
    pub(crate) target: &'a Target,
    /// From the binary's package to this one, without the first: for each step who depends, and the name by which
    /// that crate calls it.
    pub(crate) path: Vec<Step<'a>>,
}

/// One dependency in a chain of them.
#[derive(Clone)]
pub(crate) struct Step<'a> {
    pub(crate) from: &'a Package,
    pub(crate) to: &'a Package,
    pub(crate) crate_name: String,
}

impl Workspace {
    /// Asks cargo for the workspace around the manifest, or around the current folder.
    ///
    /// # Errors
    ///
    /// What cargo says when there is no workspace, or a manifest in it is not right.
    pub(crate) fn load(selection: &Selection) -> Result<Self, Failure> {
        let mut command = MetadataCommand::new();
        command.no_deps();
        if let Some(path) = &selection.manifest_path {
            command.manifest_path(path);
        }
        let metadata = command.exec().map_err(|error| match error {
            cargo_metadata::Error::CargoMetadata { stderr } => {
                let text = stderr.trim();
                Failure::error(text.strip_prefix("error: ").unwrap_or(text))
            }
            error => Failure::error(format!("cargo metadata failed: {error}")),
        })?;
        Ok(Self {
            metadata,
            manifest_path: selection.manifest_path.clone(),
            variables: Vec::new(),
        })
    }

    /// The workspace, to be compiled with these variables.
    pub(crate) fn with_variables(self, variables: Vec<(String, String)>) -> Self {
        Self { variables, ..self }
    }

    /// Cargo, about to do something with this workspace.
    pub(crate) fn cargo(&self, subcommand: &str) -> std::process::Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = std::process::Command::new(cargo);
        command.arg(subcommand).envs(self.variables.iter().cloned());
        if let Some(path) = &self.manifest_path {
            command.arg("--manifest-path").arg(path);
        }
        command
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.metadata.workspace_root.clone().into()
    }

    pub(crate) fn target_directory(&self) -> PathBuf {
        self.metadata.target_directory.clone().into()
    }

    /// The members, in cargo's order.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.metadata.workspace_packages().into_iter()
    }

    /// A source file as the compiler names it: relative to the workspace's root.
    pub(crate) fn file(&self, target: &Target) -> String {
        let path = &target.src_path;
        path.strip_prefix(&self.metadata.workspace_root)
            .unwrap_or(path)
            .to_string()
    }

    /// A file as the compiler names it: relative to the workspace's root where it lies in there.
    pub(crate) fn relative(&self, path: &std::path::Path) -> String {
        let root = self.metadata.workspace_root.as_std_path();
        let path = path.strip_prefix(root).unwrap_or(path);
        path.display().to_string()
    }

    /// The members whose source counts: those of the binaries that can be meant, and the members that these need.
    /// Where no binary is meant by name or place, those of all binaries.
    ///
    /// # Errors
    ///
    /// When something is named that is not there.
    pub(crate) fn scope(&self, selection: &Selection) -> Result<Vec<&Package>, Failure> {
        let named = self.packages(selection)?;
        let roots: Vec<&Package> = match self.binaries(selection) {
            Ok(binaries) => binaries.iter().map(|it| it.package).collect(),
            Err(failure) if selection.bin.is_some() => return Err(failure),
            Err(_) if selection.package.is_some() => named,
            Err(_) => self.members().collect(),
        };
        let mut scope: Vec<&Package> = Vec::new();
        for root in roots {
            let libraries = self.libraries(root);
            let needed = libraries.iter().map(|it| it.package);
            for package in std::iter::once(root).chain(needed) {
                if !scope.iter().any(|it| it.id == package.id) {
                    scope.push(package);
                }
            }
        }
        Ok(scope)
    }

    /// The one binary that is meant, by `cargo run`'s rules; among several, the one whose package uses Underlay.
    ///
    /// # Errors
    ///
    /// When there is none, or more than one.
    pub(crate) fn binary(&self, selection: &Selection) -> Result<Binary<'_>, Failure> {
        match self.binaries(selection)?.as_slice() {
            [binary] => Ok(*binary),
            several => Err(Failure::usage(format!(
                "the workspace has several binaries that can be meant; name one with `-p` or `--bin`: {}",
                several
                    .iter()
                    .map(|it| format!("`{}` (package `{}`)", it.target.name, it.package.name))
                    .collect::<Vec<_>>()
                    .join(", ")
            ))),
        }
    }

    /// Every binary that can be meant; never empty.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(crate) fn binaries(&self, selection: &Selection) -> Result<Vec<Binary<'_>>, Failure> {
        let packages = self.packages(selection)?;
        let mut binaries: Vec<_> = packages
            .iter()
            .flat_map(|&package| binaries(package))
            .filter(|it| match (&selection.bin, &it.package.default_run) {
                (Some(name), _) => it.target.name == *name,
                (None, Some(default)) => it.target.name == *default,
                (None, None) => true,
            })
            .collect();
        if binaries.len() > 1 {
            let using: Vec<_> = binaries
                .iter()
                .copied()
                .filter(|it| self.uses_underlay(it.package))
                .collect();
            if !using.is_empty() {
                binaries = using;
            }
        }
        if binaries.is_empty() {
            let all: Vec<_> = self
                .members()
                .flat_map(binaries_of)
                .map(|it| format!("`{}`", it.target.name))
                .collect();
            let known = match all.as_slice() {
                [] => "the workspace has none".to_owned(),
                all => format!("the workspace has {}", all.join(", ")),
            };
            return Err(Failure::usage(match (&selection.bin, &selection.package) {
                (Some(bin), Some(package)) => {
                    format!("package `{package}` has no binary `{bin}`; {known}")
                }
                (Some(bin), None) => format!("there is no binary `{bin}`; {known}"),
                (None, Some(package)) => format!("package `{package}` has no binary; {known}"),
                (None, None) => format!("there is no binary to read; {known}"),
            }));
        }
        Ok(binaries)
    }

    /// The packages whose binaries can be meant: the named one, that of the current folder, or the default members.
    fn packages(&self, selection: &Selection) -> Result<Vec<&Package>, Failure> {
        if let Some(name) = &selection.package {
            let found: Vec<_> = self.members().filter(|it| *it.name == **name).collect();
            if found.is_empty() {
                let names: Vec<_> = self.members().map(|it| format!("`{}`", it.name)).collect();
                let message = format!(
                    "the workspace has no package `{name}`; it has {}",
                    names.join(", ")
                );
                return Err(Failure::usage(message));
            }
            return Ok(found);
        }
        if selection.bin.is_some() {
            return Ok(self.members().collect());
        }
        let here = match &selection.manifest_path {
            Some(path) => path.parent().map(ToOwned::to_owned),
            None => std::env::current_dir().ok(),
        };
        let here = here.and_then(|it| it.canonicalize().ok());
        let around = self
            .members()
            .filter_map(|it| Some((it, it.manifest_path.parent()?)))
            .filter(|(_, folder)| *folder != self.metadata.workspace_root)
            .find(|(_, folder)| {
                let folder = folder.canonicalize();
                here.as_ref()
                    .zip(folder.ok())
                    .is_some_and(|(here, folder)| here.starts_with(folder))
            });
        Ok(match around {
            Some((package, _)) => vec![package],
            None if self.metadata.workspace_default_members.is_available() => {
                self.metadata.workspace_default_packages()
            }
            None => self.members().collect(),
        })
    }

    /// Every member whose library `package` needs, directly or through members, with the nearest way to it; and its
    /// own library, if it has one. Optional dependencies and those of other platforms count: whether one was
    /// compiled is for the compilation to say.
    pub(crate) fn libraries<'a>(&'a self, package: &'a Package) -> Vec<Dependency<'a>> {
        let mut found: BTreeMap<&str, Dependency<'a>> = BTreeMap::new();
        let mut own = Vec::new();
        if let Some(target) = library(package) {
            let step = Step {
                from: package,
                to: package,
                crate_name: crate_name(&target.name),
            };
            own.push(Dependency {
                package,
                target,
                path: vec![step],
            });
        }
        let mut queue = std::collections::VecDeque::from([(package, Vec::new())]);
        while let Some((from, path)) = queue.pop_front() {
            for (to, name) in self.direct(from) {
                let Some(target) = library(to) else { continue };
                if to.id == package.id || found.contains_key(to.id.repr.as_str()) {
                    continue;
                }
                let mut path: Vec<Step<'a>> = path.clone();
                path.push(Step {
                    from,
                    to,
                    crate_name: name,
                });
                found.insert(
                    &to.id.repr,
                    Dependency {
                        package: to,
                        target,
                        path: path.clone(),
                    },
                );
                queue.push_back((to, path));
            }
        }
        own.into_iter().chain(found.into_values()).collect()
    }

    /// The members that a package names as normal dependencies, and what it calls them.
    fn direct(&self, package: &Package) -> Vec<(&Package, String)> {
        let normal = package
            .dependencies
            .iter()
            .filter(|it| it.kind == DependencyKind::Normal);
        normal
            .filter_map(|dependency| {
                let path = dependency.path.as_ref()?;
                let member = self
                    .members()
                    .find(|it| it.manifest_path.parent() == Some(path))?;
                let name = match &dependency.rename {
                    Some(name) => name.clone(),
                    None => library(member)?.name.clone(),
                };
                Some((member, crate_name(&name)))
            })
            .collect()
    }

    /// Members with a library that names `underlay` among its dependencies and that no binary's package needs.
    pub(crate) fn unused_libraries(&self) -> Vec<Binary<'_>> {
        let used: Vec<_> = self
            .members()
            .filter(|it| binaries(it).next().is_some())
            .flat_map(|it| self.libraries(it))
            .map(|it| &it.package.id)
            .collect();
        self.members()
            .filter(|it| !used.contains(&&it.id) && names_underlay(it))
            .filter_map(|package| {
                Some(Binary {
                    package,
                    target: library(package)?,
                })
            })
            .collect()
    }

    /// Whether a package can declare something: it, or a member that it needs, names `underlay` as a dependency.
    fn uses_underlay(&self, package: &Package) -> bool {
        names_underlay(package)
            || self
                .libraries(package)
                .iter()
                .any(|it| names_underlay(it.package))
    }
}

/// Whether a package can declare something itself.
pub(crate) fn names_underlay(package: &Package) -> bool {
    package
        .dependencies
        .iter()
        .any(|it| it.kind == DependencyKind::Normal && it.name == "underlay")
}

fn binaries_of(package: &Package) -> Vec<Binary<'_>> {
    binaries(package).collect()
}

fn binaries(package: &Package) -> impl Iterator<Item = Binary<'_>> {
    let targets = package
        .targets
        .iter()
        .filter(|it| it.kind.contains(&TargetKind::Bin));
    targets.map(move |target| Binary { package, target })
}

/// A package's library that other crates can link.
pub(crate) fn library(package: &Package) -> Option<&Target> {
    package.targets.iter().find(|it| {
        it.kind
            .iter()
            .any(|kind| matches!(kind, TargetKind::Lib | TargetKind::RLib))
    })
}

/// A package's or target's name as code writes it.
fn crate_name(name: &str) -> String {
    name.replace('-', "_")
}
