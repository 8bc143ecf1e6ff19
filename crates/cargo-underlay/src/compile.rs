//! Runs `cargo build` and says which files it left. Cargo's diagnostics go to standard error as they are.

use std::{ffi::OsString, io::BufReader, path::PathBuf, process::Stdio};

use cargo_metadata::{Artifact, Message, Package, PackageId, Target};

use crate::{
    failure::{Failure, os_text},
    workspace::{Binary, Workspace},
};

/// What one `cargo build` compiled, or found compiled.
#[derive(Default)]
pub(crate) struct Compilation {
    artifacts: Vec<Artifact>,
}

/// Which profile to build with, unless cargo's arguments say otherwise.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

impl Compilation {
    /// Builds one binary with everything it needs.
    ///
    /// # Errors
    ///
    /// When cargo cannot be run or the build fails; cargo has then said why.
    pub(crate) fn binary(
        workspace: &Workspace,
        binary: Binary<'_>,
        profile: Profile,
        cargo: &[OsString],
    ) -> Result<Self, Failure> {
        let mut arguments: Vec<OsString> = [
            "-p",
            binary.package.name.as_str(),
            "--bin",
            &binary.target.name,
        ]
        .map(OsString::from)
        .into();
        if profile == Profile::Release && !names_profile(cargo) {
            arguments.push("--release".into());
        }
        arguments.extend(cargo.iter().cloned());
        Self::run(workspace, &arguments)
    }

    /// Builds the same binary with the dev profile, whose libraries hold object code unless somebody has turned on
    /// link-time optimisation there, too.
    ///
    /// # Errors
    ///
    /// As [`Self::binary`].
    pub(crate) fn dev(
        workspace: &Workspace,
        binary: Binary<'_>,
        cargo: &[OsString],
    ) -> Result<Self, Failure> {
        Self::binary(workspace, binary, Profile::Dev, &without(cargo, PROFILE))
    }

    /// Builds the libraries of packages with the dev profile, and with their default features.
    ///
    /// # Errors
    ///
    /// As [`Self::binary`].
    pub(crate) fn libraries_of(
        workspace: &Workspace,
        packages: &[&Package],
        cargo: &[OsString],
    ) -> Result<Self, Failure> {
        let mut arguments: Vec<OsString> = vec!["--lib".into()];
        for package in packages {
            arguments.extend(["-p".into(), package.name.as_str().into()]);
        }
        // The features that are named are those of the binary's package.
        arguments.extend(without(&without(cargo, PROFILE), FEATURES));
        Self::run(workspace, &arguments)
    }

    fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<Self, Failure> {
        let mut command = workspace.cargo("build");
        let cargo = command.get_program().to_string_lossy().into_owned();
        let started = command
            .arg("--message-format=json-render-diagnostics")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        let cannot_run = |error: &std::io::Error| {
            Failure::error(format!(
                "cannot run {cargo}: {}; is cargo installed?",
                os_text(error)
            ))
        };
        let mut child = started.map_err(|error| cannot_run(&error))?;
        let mut artifacts = Vec::new();
        let mut unreadable = None;
        if let Some(messages) = child.stdout.take() {
            for message in Message::parse_stream(BufReader::new(messages)) {
                match message {
                    Ok(Message::CompilerArtifact(artifact)) => artifacts.push(artifact),
                    Ok(_) => {}
                    Err(error) => {
                        unreadable.get_or_insert(error);
                    }
                }
            }
        }
        let status = child.wait().map_err(|error| cannot_run(&error))?;
        if !status.success() {
            return Err(Failure::error(
                "cargo build failed; its messages stand above",
            ));
        }
        if let Some(error) = unreadable {
            return Err(Failure::error(format!(
                "cargo's messages cannot be read: {}",
                os_text(&error)
            )));
        }
        Ok(Self { artifacts })
    }

    /// The executable that was linked.
    ///
    /// # Errors
    ///
    /// When cargo's arguments kept it from linking one.
    pub(crate) fn executable(&self, binary: Binary<'_>) -> Result<PathBuf, Failure> {
        let path = self
            .of(&binary.package.id, binary.target)
            .find_map(|it| it.executable.clone());
        path.map(Into::into).ok_or_else(|| {
            Failure::error(format!(
                "cargo linked no executable `{}`; remove what keeps it from that from the arguments after `--`",
                binary.target.name
            ))
        })
    }

    /// The compiled libraries of a target: none if the build did not need it, two if it did also for a build script.
    pub(crate) fn libraries(&self, package: &PackageId, target: &Target) -> Vec<PathBuf> {
        let files = self.of(package, target).flat_map(|it| &it.filenames);
        files
            .filter(|it| it.extension() == Some("rlib"))
            .map(|it| it.clone().into())
            .collect()
    }

    fn of<'a>(
        &'a self,
        package: &'a PackageId,
        target: &'a Target,
    ) -> impl Iterator<Item = &'a Artifact> {
        self.artifacts.iter().filter(move |it| {
            it.package_id == *package
                && it.target.kind == target.kind
                && it.target.name == target.name
        })
    }
}

/// Arguments of cargo, and whether a value follows them.
type Known = [(&'static str, bool)];

const PROFILE: &Known = &[("--profile", true), ("--release", false), ("-r", false)];
const FEATURES: &Known = &[
    ("--features", true),
    ("-F", true),
    ("--all-features", false),
    ("--no-default-features", false),
];

fn names_profile(cargo: &[OsString]) -> bool {
    without(cargo, PROFILE).len() != cargo.len()
}

/// Cargo's arguments without some of them.
fn without(cargo: &[OsString], unwanted: &Known) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut arguments = cargo.iter();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        match unwanted.iter().find(|(name, _)| matches(&text, name)) {
            // The value stands by itself.
            Some((name, true)) if text == *name => {
                arguments.next();
            }
            Some(_) => {}
            None => kept.push(argument.clone()),
        }
    }
    kept
}

/// Whether an argument is the named one, with or without a value behind `=`, or directly behind a short name.
fn matches(argument: &str, name: &str) -> bool {
    argument.strip_prefix(name).is_some_and(|rest| {
        rest.is_empty() || rest.starts_with('=') || (name.len() == 2 && name.starts_with("-F"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_taken_out() {
        let check = |unwanted, given: &[&str], kept: &[&str]| {
            let given: Vec<OsString> = given.iter().map(OsString::from).collect();
            assert_eq!(without(&given, unwanted), kept);
        };
        check(PROFILE, &[], &[]);
        check(PROFILE, &["--features", "a,b"], &["--features", "a,b"]);
        check(PROFILE, &["--profile", "dist", "--locked"], &["--locked"]);
        check(PROFILE, &["--locked", "--profile=dist"], &["--locked"]);
        check(PROFILE, &["-r"], &[]);
        check(PROFILE, &["--release", "--target", "x"], &["--target", "x"]);
        check(PROFILE, &["--profile"], &[]);
        check(
            FEATURES,
            &["--features", "a", "-F", "b", "-Fc", "--features=d", "-v"],
            &["-v"],
        );
        check(
            FEATURES,
            &["--all-features", "--no-default-features", "--offline"],
            &["--offline"],
        );
        assert!(names_profile(&["-r".into()]));
        assert!(!names_profile(&["--locked".into()]));
    }
}
