//! `cargo xtask bench compile`: what Underlay adds to the build of `examples/hello`, beside the same program on bare
//! axum, sqlx and tracing (`tests/baseline/hello.rs`).
//!
//! Both are built twice from nothing, in turns, without incremental compilation, and the cheaper build counts: the CPU
//! time that other work on the machine adds is no property of the program. Then one source file is touched and built
//! again, as a developer does all day, with incremental compilation.
//!
//! This program is also the wrapper that cargo calls rustc through in the clean builds, so that it can say which crates
//! the difference comes from.

#![allow(
    clippy::print_stdout,
    reason = "a bench is a command; printing is its output"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, SystemTime},
};

use underlay_tests::bench::{
    self, Cost, Package, Spread, Table, cargo, crates, file_error, finish, folder, measure,
    pass_through, ratio, remove, repository, run, write,
};

/// How many crates more than bare a service may be built from.
const MORE_CRATES: usize = 20;
/// How much CPU time more than bare its clean build may take.
const MORE_CPU: Duration = Duration::from_secs(15);
const CLEAN_BUILDS: usize = 2;
const REBUILDS: usize = 7;
/// How many of the crates that cost more than in the bare build are named.
const DEAREST: usize = 12;
/// Set where this program is cargo's wrapper of rustc: the file that it writes to.
const UNITS: &str = "UNDERLAY_BENCH_UNITS";

const BARE: &str = include_str!("../../baseline/hello.rs");

/// One of the two programs.
struct Program {
    workspace: PathBuf,
    package: &'static str,
    main: PathBuf,
    target: PathBuf,
}

/// The CPU time of rustc, by crate; build scripts are one, and what is built twice is added up.
type Units = BTreeMap<String, Duration>;

/// A clean build: what it costs, and where.
#[derive(Clone, Default)]
struct Clean {
    cost: Cost,
    units: Units,
}

/// What building it costs.
struct Figures {
    crates: BTreeSet<String>,
    clean: Clean,
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

    fn clean_build(&self) -> Result<Clean, String> {
        remove(&self.target)?;
        let units = self.target.with_extension("units");
        write(&units, "")?;
        let wrapper =
            env::current_exe().map_err(|error| format!("where is this program? {error}"))?;
        let mut command = self.build(false);
        let cost = measure(command.env("RUSTC_WRAPPER", wrapper).env(UNITS, &units))?;
        let text =
            fs::read_to_string(&units).map_err(|error| file_error("read", &units, &error))?;
        Ok(Clean {
            cost,
            units: read_units(&text),
        })
    }

    fn touch(&self) -> Result<(), String> {
        let file = fs::File::options().append(true).open(&self.main);
        file.and_then(|file| file.set_modified(SystemTime::now()))
            .map_err(|error| file_error("touch", &self.main, &error))
    }
}

fn main() -> ExitCode {
    match env::var_os(UNITS) {
        Some(path) => wrap(Path::new(&path)),
        None => finish(compare()),
    }
}

/// Runs rustc as cargo asks for it, and appends what it cost.
fn wrap(units: &Path) -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let Some((rustc, arguments)) = arguments.split_first() else {
        return finish(Err(format!(
            "{UNITS} is set, so cargo must call this program"
        )));
    };
    let (status, cpu) = match pass_through(Command::new(rustc).args(arguments)) {
        Ok(ended) => ended,
        Err(error) => return finish(Err(error)),
    };
    let name = arguments.iter().position(|it| it == "--crate-name");
    if let Some(name) = name.and_then(|at| arguments.get(at + 1)) {
        let line = format!("{} {}\n", name.to_string_lossy(), cpu.as_micros());
        let file = fs::File::options().append(true).open(units);
        if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
            return finish(Err(file_error("write", units, &error)));
        }
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

fn read_units(text: &str) -> Units {
    let mut units = Units::new();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    // Cargo's probes of the compiler are no crates.
    for (name, microseconds) in lines.filter(|(name, _)| *name != "___") {
        if let Ok(microseconds) = microseconds.parse() {
            *units.entry(name.to_owned()).or_default() += Duration::from_micros(microseconds);
        }
    }
    units
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
    let mut clean: [Option<Clean>; 2] = [None, None];
    for round in 1..=CLEAN_BUILDS {
        for (program, least) in programs.iter().zip(&mut clean) {
            println!("clean build {round} of {CLEAN_BUILDS}: {}", program.package);
            let build = program.clean_build()?;
            if least
                .as_ref()
                .is_none_or(|least| build.cost.cpu < least.cost.cpu)
            {
                *least = Some(build);
            }
        }
    }
    let figures = |program: &Program, clean: Option<Clean>| {
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
    let [ours, bare] = clean;
    Ok([figures(&programs[0], ours)?, figures(&programs[1], bare)?])
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
    table.times("clean build, CPU", ours.clean.cost.cpu, bare.clean.cost.cpu);
    table.times(
        "clean build, wall",
        ours.clean.cost.wall,
        bare.clean.cost.wall,
    );
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
    println!(
        "what costs more, CPU of rustc: {}",
        dearest(ours, bare).join(", ")
    );
    let shared = |figures: &Figures| {
        let units = figures.clean.units.iter();
        let both = |name: &str| {
            [ours, bare]
                .iter()
                .all(|it| it.clean.units.contains_key(name))
        };
        units
            .filter(|(name, _)| both(name))
            .map(|(_, cpu)| *cpu)
            .sum()
    };
    println!(
        "the crates of both builds: {} and {}; were the machine quiet, these would be nearly the same",
        bench::seconds(shared(ours)),
        bench::seconds(shared(bare))
    );
}

/// The crates that cost most above what they cost in the bare build.
fn dearest(ours: &Figures, bare: &Figures) -> Vec<String> {
    let bare = &bare.clean.units;
    let more = ours.clean.units.iter().map(|(name, cpu)| {
        let more = cpu.saturating_sub(bare.get(name).copied().unwrap_or_default());
        (more, name)
    });
    let mut more: Vec<_> = more.collect();
    more.sort_by(|left, right| right.cmp(left));
    let more = more.into_iter().take(DEAREST);
    more.map(|(cpu, name)| format!("{name} {}", bench::seconds(cpu)))
        .collect()
}

fn more_crates<'a>(ours: &'a Figures, bare: &Figures) -> Vec<&'a str> {
    let bare = foreign(&bare.crates);
    let more = foreign(&ours.crates).into_iter();
    more.filter(|name| !bare.contains(name)).collect()
}

fn more_cpu(ours: &Figures, bare: &Figures) -> Duration {
    ours.clean.cost.cpu.saturating_sub(bare.clean.cost.cpu)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_added_up_and_probes_left_out() {
        let units = read_units("syn 2\n___ 7\nsyn 3\nbroken\nquote 1\n");
        let expected = [("quote", 1), ("syn", 5)];
        let expected = expected.map(|(name, cpu)| (name.to_owned(), Duration::from_micros(cpu)));
        assert_eq!(units, Units::from(expected));
    }
}
