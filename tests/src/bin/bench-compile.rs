//! `cargo xtask bench compile`: what Underlay adds to the build of `examples/hello`, beside the same program on bare
//! axum, sqlx and tracing (`tests/baseline/hello.rs`).
//!
//! Both are built twice from nothing, in turns, without incremental compilation, and the cheaper build counts: the CPU
//! time that other work on the machine adds is no property of the program. Then one source file is touched and built
//! again, as a developer does all day, with incremental compilation.

#![allow(
    clippy::print_stdout,
    reason = "a bench is a command; printing is its output"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use underlay_tests::bench::{
    self, Cost, Package, Spread, Table, cargo, crates, file_error, finish, folder, measure, ratio,
    remove, repository, run,
};

/// How many crates more than bare a service may be built from.
const MORE_CRATES: usize = 20;
/// How much CPU time more than bare its clean build may take.
const MORE_CPU: Duration = Duration::from_secs(15);
const CLEAN_BUILDS: usize = 2;
const REBUILDS: usize = 7;

const BARE: &str = include_str!("../../baseline/hello.rs");

/// One of the two programs.
struct Program {
    workspace: PathBuf,
    package: &'static str,
    main: PathBuf,
    target: PathBuf,
}

/// What building it costs.
struct Figures {
    crates: BTreeSet<String>,
    clean: Cost,
    rebuild_cpu: Spread,
    rebuild_wall: Spread,
}

impl Program {
    fn build(&self, incremental: bool) -> std::process::Command {
        let arguments = ["build", "--package", self.package];
        let mut command = cargo(&self.workspace, &self.target, &arguments);
        command.env("CARGO_INCREMENTAL", if incremental { "1" } else { "0" });
        command
    }

    fn touch(&self) -> Result<(), String> {
        let file = fs::File::options().append(true).open(&self.main);
        file.and_then(|file| file.set_modified(SystemTime::now()))
            .map_err(|error| file_error("touch", &self.main, &error))
    }
}

fn main() -> ExitCode {
    finish(compare())
}

fn compare() -> Result<Vec<String>, String> {
    let folder = folder("compile")?;
    let bare = Package::bare(folder.join("bare"), "hello-bare", BARE, "hello")?;
    let programs = [
        Program {
            workspace: repository().to_owned(),
            package: "hello",
            main: repository().join("examples/hello/src/main.rs"),
            target: folder.join("target-underlay"),
        },
        Program {
            workspace: bare.root,
            package: "hello-bare",
            main: bare.folder.join("src/main.rs"),
            target: folder.join("target-bare"),
        },
    ];
    let [ours, bare] = figures(&programs)?;
    for program in &programs {
        remove(&program.target)?;
    }
    print(&ours, &bare);
    Ok(exceeded(&ours, &bare))
}

fn figures(programs: &[Program; 2]) -> Result<[Figures; 2], String> {
    let mut clean = [None, None];
    for round in 1..=CLEAN_BUILDS {
        for (program, least) in programs.iter().zip(&mut clean) {
            println!("clean build {round} of {CLEAN_BUILDS}: {}", program.package);
            remove(&program.target)?;
            let cost = measure(&mut program.build(false))?;
            if least.is_none_or(|least: Cost| cost.cpu < least.cpu) {
                *least = Some(cost);
            }
        }
    }
    let figures = |program: &Program, clean: Option<Cost>| {
        let mut figures = Figures {
            crates: crates(&program.workspace, &program.target, program.package)?,
            clean: clean.unwrap_or_default(),
            rebuild_cpu: Spread::default(),
            rebuild_wall: Spread::default(),
        };
        // What the first incremental build writes is not part of a rebuild.
        for _ in 0..2 {
            program.touch()?;
            run(&mut program.build(true))?;
        }
        for _ in 0..REBUILDS {
            program.touch()?;
            let cost = measure(&mut program.build(true))?;
            figures.rebuild_cpu.add(cost.cpu);
            figures.rebuild_wall.add(cost.wall);
        }
        Ok::<_, String>(figures)
    };
    Ok([
        figures(&programs[0], clean[0])?,
        figures(&programs[1], clean[1])?,
    ])
}

/// The crates without those of this repository: the user's own package is in both graphs, under two names.
fn foreign(crates: &BTreeSet<String>) -> BTreeSet<&str> {
    let names = crates.iter().map(String::as_str);
    names.filter(|name| !name.starts_with("hello")).collect()
}

fn print(ours: &Figures, bare: &Figures) {
    let mut table = Table::new("examples/hello, dev profile");
    let (our_crates, bare_crates) = (foreign(&ours.crates), foreign(&bare.crates));
    table.row(
        "crates it is built from",
        our_crates.len().to_string(),
        bare_crates.len().to_string(),
        ratio(our_crates.len() as f64, bare_crates.len() as f64),
    );
    table.times("clean build, CPU", ours.clean.cpu, bare.clean.cpu);
    table.times("clean build, wall", ours.clean.wall, bare.clean.wall);
    table.spreads(
        "rebuild after a touch, CPU",
        &ours.rebuild_cpu,
        &bare.rebuild_cpu,
    );
    table.spreads(
        "rebuild after a touch, wall",
        &ours.rebuild_wall,
        &bare.rebuild_wall,
    );
    table.print();
    println!(
        "\nabove bare: {} crates (budget {MORE_CRATES}), {} CPU (budget {})",
        more_crates(ours, bare).len(),
        bench::seconds(more_cpu(ours, bare)),
        bench::seconds(MORE_CPU)
    );
    println!("the crates: {}", more_crates(ours, bare).join(", "));
}

fn more_crates<'a>(ours: &'a Figures, bare: &Figures) -> Vec<&'a str> {
    let bare = foreign(&bare.crates);
    let more = foreign(&ours.crates).into_iter();
    more.filter(|name| !bare.contains(name)).collect()
}

fn more_cpu(ours: &Figures, bare: &Figures) -> Duration {
    ours.clean.cpu.saturating_sub(bare.clean.cpu)
}

fn exceeded(ours: &Figures, bare: &Figures) -> Vec<String> {
    let mut exceeded = Vec::new();
    let (crates, cpu) = (more_crates(ours, bare).len(), more_cpu(ours, bare));
    if crates > MORE_CRATES {
        exceeded.push(format!(
            "{crates} crates more than bare; {MORE_CRATES} are allowed"
        ));
    }
    if cpu > MORE_CPU {
        exceeded.push(format!(
            "{} of CPU time more than bare; {} are allowed",
            bench::seconds(cpu),
            bench::seconds(MORE_CPU)
        ));
    }
    exceeded
}
