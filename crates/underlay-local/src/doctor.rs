//! What this machine offers: the questions of somebody for whom a start does not work.

use std::{env, path::Path};

use serde::Serialize;
use tokio::process::Command;

use crate::{
    checkout::Checkout,
    docker,
    port::first_free_port,
    postgres::{self, PostgresOffer},
};

/// The answers, in the order in which they are best read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// One answer per question.
    pub checks: Vec<Check>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at, such as `docker`.
    pub name: String,
    /// How it is.
    pub status: Status,
    /// What was found.
    pub detail: String,
    /// What to do, when something is missing.
    pub advice: Option<String>,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Not there, and something else takes its place.
    Missing,
    /// Not there, and needed.
    Problem,
}

/// The least free space in gigabytes with which work is comfortable: a Rust target folder alone takes some.
const LEAST_SPACE: u64 = 5;

/// Looks at the toolchain, Docker, PostgreSQL, the port that the application prefers, and the disk.
pub async fn doctor(checkout: &Checkout, port: u16) -> Report {
    let mut checks = Vec::new();
    for (name, program, advice) in [
        ("rustc", "rustc", "install Rust: https://rustup.rs"),
        ("cargo", "cargo", "install Rust: https://rustup.rs"),
        (
            "linker",
            "cc",
            "install a C compiler, such as gcc or clang: Rust needs its linker",
        ),
    ] {
        checks.push(program_check(name, program, advice).await);
    }
    let docker = docker_check().await;
    let offer = postgres::offer().await;
    let native = native_check(&offer);
    let managed = managed_check(&offer).await;
    let has_any = [&docker, &native, &managed]
        .iter()
        .any(|check| check.status == Status::Ok);
    for mut check in [docker, native, managed] {
        if !has_any {
            check.status = Status::Problem;
        }
        checks.push(check);
    }
    checks.push(port_check(port));
    checks.push(disk_check(&checkout.root).await);
    Report { checks }
}

fn check(name: &str, status: Status, detail: impl Into<String>, advice: Option<&str>) -> Check {
    Check {
        name: name.to_owned(),
        status,
        detail: detail.into(),
        advice: advice.map(str::to_owned),
    }
}

async fn program_check(name: &str, program: &str, advice: &str) -> Check {
    let program = env::var_os(program.to_uppercase()).unwrap_or_else(|| program.into());
    match Command::new(&program).arg("--version").output().await {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            check(
                name,
                Status::Ok,
                text.lines().next().unwrap_or_default(),
                None,
            )
        }
        Ok(_) => check(
            name,
            Status::Problem,
            format!("`{} --version` fails", program.display()),
            Some(advice),
        ),
        Err(error) => {
            let detail = format!(
                "cannot run `{}`: {}",
                program.display(),
                crate::error::os_text(&error)
            );
            check(name, Status::Problem, detail, Some(advice))
        }
    }
}

async fn docker_check() -> Check {
    match docker::connect().await {
        Ok(engine) => {
            let version = engine
                .docker
                .version()
                .await
                .ok()
                .and_then(|version| version.version);
            let version = version.unwrap_or_else(|| "of unknown version".to_owned());
            check(
                "docker",
                Status::Ok,
                format!("{version} at {}", engine.address),
                None,
            )
        }
        Err(reason) => check(
            "docker",
            Status::Missing,
            reason,
            Some("start Docker, or do without"),
        ),
    }
}

fn native_check(offer: &PostgresOffer) -> Check {
    match &offer.native {
        Ok(found) => {
            let list: Vec<_> = found
                .iter()
                .map(|(version, folder)| format!("{version} in {}", folder.display()))
                .collect();
            check("postgres", Status::Ok, list.join(", "), None)
        }
        Err(reason) => {
            let advice = "install PostgreSQL, or set UNDERLAY_POSTGRES_BIN to the folder of its server binaries";
            check("postgres", Status::Missing, reason.clone(), Some(advice))
        }
    }
}

async fn managed_check(offer: &PostgresOffer) -> Check {
    match &offer.managed {
        Ok(Some(folder)) => check(
            "managed postgres",
            Status::Ok,
            format!("downloaded to {}", folder.display()),
            None,
        ),
        Ok(None) => {
            for program in ["curl", "tar"] {
                if Command::new(program)
                    .arg("--version")
                    .output()
                    .await
                    .is_err()
                {
                    let detail = format!(
                        "not downloaded, and `{program}`, which that needs, is not installed"
                    );
                    return check(
                        "managed postgres",
                        Status::Missing,
                        detail,
                        Some("install curl and tar"),
                    );
                }
            }
            let advice = "download it for a start without network: cargo underlay postgres install";
            check(
                "managed postgres",
                Status::Missing,
                "not downloaded yet",
                Some(advice),
            )
        }
        Err(reason) => check("managed postgres", Status::Missing, reason.clone(), None),
    }
}

fn port_check(port: u16) -> Check {
    match first_free_port(port) {
        Some(free) if free == port => check("port", Status::Ok, format!("{port} is free"), None),
        Some(free) => check(
            "port",
            Status::Ok,
            format!("{port} is taken; {free} is free and would be used"),
            None,
        ),
        None => check(
            "port",
            Status::Problem,
            "no port on 127.0.0.1 is free",
            Some("close programs that hold ports"),
        ),
    }
}

async fn disk_check(folder: &Path) -> Check {
    match postgres::free_kilobytes(folder).await {
        Some(kilobytes) => {
            let gigabytes = kilobytes / (1 << 20);
            let detail = format!("{gigabytes} GB free in {}", folder.display());
            if gigabytes < LEAST_SPACE {
                check(
                    "disk",
                    Status::Problem,
                    detail,
                    Some("make room; cargo clean helps"),
                )
            } else {
                check("disk", Status::Ok, detail, None)
            }
        }
        None => check(
            "disk",
            Status::Missing,
            "how much is free cannot be learnt from `df`",
            None,
        ),
    }
}
