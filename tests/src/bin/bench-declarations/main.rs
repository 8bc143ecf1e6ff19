//! `cargo xtask bench declarations`: what 500, 1,000 and 2,000 declarations in one crate cost to compile, to keep in the
//! binary, to read back and to start with, beside the same application by hand; and whether that grows linearly.
//!
//! An application without declarations is measured too and taken off, so that the cost of one declaration is left.

#![allow(
    clippy::print_stdout,
    reason = "a bench is a command; printing is its output"
)]

mod generate;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, SystemTime},
};

use underlay_tests::bench::{
    self, Application, Package, Spread, Table, bytes, cargo, count, file_error, finish, folder,
    measure, milliseconds, output, ratio, remove, repository, run, write,
};

/// How many declarations; the first is what everything else is compared with.
const SIZES: [usize; 4] = [0, 500, 1_000, 2_000];
/// How much more one of 2,000 may cost than one of 500.
const WORSE: f64 = 1.5;
/// What a measurement of a build may be off by, and one of a running program.
const BUILD_NOISE: Duration = Duration::from_millis(150);
const RUN_NOISE: Duration = Duration::from_millis(3);
const BUILDS: usize = 2;
const STARTS: usize = 7;

const BARE: &str = include_str!("../../../baseline/declarations.rs");
/// Dependencies of the bare application beyond those of every bare program.
const BARE_DEPENDENCIES: &str = "\
axum = { workspace = true, features = [\"http1\", \"json\", \"matched-path\", \"query\", \"tokio\"] }
serde.workspace = true
serde_json.workspace = true
tokio = { workspace = true, features = [\"macros\", \"net\", \"rt-multi-thread\", \"signal\", \"sync\", \"time\"] }
tracing.workspace = true
tracing-subscriber.workspace = true
";
const DEPENDENCIES: &str = "\
serde.workspace = true
underlay = { workspace = true, features = [\"cron\"] }
";

/// What an application of one size costs.
#[derive(Debug, Clone, Default)]
struct Figures {
    check: Duration,
    build: Duration,
    size: u64,
    read: Spread,
    start: Spread,
}

fn main() -> ExitCode {
    finish(compare())
}

fn compare() -> Result<Vec<String>, String> {
    let folder = folder("declarations")?;
    let target = folder.join("target");
    println!("building cargo-underlay, and the dependencies of both applications");
    let reader = reader()?;
    let mut ours = BTreeMap::new();
    let mut bare = BTreeMap::new();
    for size in SIZES {
        println!("{} declarations", count(size as u64));
        let modules = size / generate::MODULE;
        let root = folder.join(format!("underlay-{size}"));
        let name = format!("declares-{size}");
        let package = package(&root, &name, modules)?;
        ours.insert(
            size,
            figures(&package, &target, &name, size, Some(&reader))?,
        );
        let root = folder.join(format!("bare-{size}"));
        let name = format!("lists-{size}");
        let package = package_bare(&root, &name, modules)?;
        bare.insert(size, figures(&package, &target, &name, size, None)?);
    }
    print(&ours, &bare);
    Ok(exceeded(&ours))
}

/// `cargo underlay`, as users have it: a release build.
fn reader() -> Result<PathBuf, String> {
    let target = bench::target()?;
    let arguments = ["build", "--release", "--package", "cargo-underlay"];
    run(&mut cargo(repository(), &target, &arguments))?;
    Ok(target.join("release/cargo-underlay"))
}

fn package(root: &Path, name: &str, modules: usize) -> Result<Package, String> {
    remove(root)?;
    let package = Package::write(root.to_owned(), name, DEPENDENCIES)?;
    let source = package.folder.join("src");
    write(
        &source.join("main.rs"),
        &generate::main_with_underlay(modules),
    )?;
    for module in 0..modules {
        let text = generate::with_underlay(module * generate::MODULE);
        write(&source.join(format!("m{module}.rs")), &text)?;
    }
    Ok(package)
}

fn package_bare(root: &Path, name: &str, modules: usize) -> Result<Package, String> {
    remove(root)?;
    let package = Package::write(root.to_owned(), name, BARE_DEPENDENCIES)?;
    let source = package.folder.join("src");
    write(&source.join("main.rs"), &generate::main_bare(modules))?;
    write(&source.join("bare.rs"), BARE)?;
    for module in 0..modules {
        let text = generate::bare(module * generate::MODULE);
        write(&source.join(format!("m{module}.rs")), &text)?;
    }
    Ok(package)
}

fn figures(
    package: &Package,
    target: &Path,
    name: &str,
    size: usize,
    reader: Option<&Path>,
) -> Result<Figures, String> {
    let compile = |what: &str| {
        let build = || {
            let mut command = cargo(&package.root, target, &[what]);
            command.env("CARGO_INCREMENTAL", "0");
            command
        };
        if size == 0 {
            // The dependencies, which all sizes share.
            run(&mut build())?;
        }
        let mut cpu = Spread::default();
        for _ in 0..BUILDS {
            touch(&package.folder.join("src/main.rs"))?;
            cpu.add(measure(&mut build())?.cpu);
        }
        // The least: what else the machine does is no property of the program.
        Ok::<_, String>(cpu.least())
    };
    let mut figures = Figures {
        check: compile("check")?,
        build: compile("build")?,
        ..Figures::default()
    };
    let binary = target.join("debug").join(name);
    if let Some(reader) = reader {
        let read = || {
            let mut command = Command::new(reader);
            command.current_dir(&package.root).arg("underlay");
            command.args(["model", "--binary"]).arg(&binary);
            command
        };
        figures.size = output(&mut read())?.len() as u64;
        for _ in 0..STARTS {
            figures.read.add(measure(&mut read())?.wall);
        }
    }
    // The state folder of one run is not a fresh one of the next: the first start makes it.
    for first in 0..=STARTS {
        let mut command = Command::new(&binary);
        command
            .current_dir(&package.root)
            .env("UNDERLAY_LISTEN", "127.0.0.1:0")
            .env_remove("UNDERLAY_INFRA");
        let mut application = Application::start(&mut command)?;
        let (time, _) = application.wait_for("ready in")?;
        application.stop()?;
        if first > 0 {
            figures.start.add(time);
        }
    }
    Ok(figures)
}

fn touch(path: &Path) -> Result<(), String> {
    let file = fs::File::options().append(true).open(path);
    file.and_then(|file| file.set_modified(SystemTime::now()))
        .map_err(|error| file_error("touch", path, &error))
}

type BySize = BTreeMap<usize, Figures>;

/// A figure as a number: seconds, or bytes.
type Figure = fn(&Figures) -> f64;

/// What must grow linearly: its name, and what a measurement of it may be off by.
fn linear() -> [(&'static str, Figure, f64); 5] {
    let (build, run) = (BUILD_NOISE.as_secs_f64(), RUN_NOISE.as_secs_f64());
    [
        ("cargo check, CPU", |it| it.check.as_secs_f64(), build),
        ("cargo build, CPU", |it| it.build.as_secs_f64(), build),
        ("model", |it| it.size as f64, 0.0),
        (
            "reading the model",
            |it| it.read.median().as_secs_f64(),
            run,
        ),
        ("start", |it| it.start.median().as_secs_f64(), run),
    ]
}

/// What one declaration costs among `size`.
fn each(figures: &BySize, size: usize, figure: Figure) -> f64 {
    (figure(&figures[&size]) - figure(&figures[&0])) / size as f64
}

fn print(ours: &BySize, bare: &BySize) {
    let mut table = Table::new("one crate, dev profile");
    for size in SIZES {
        let (ours, bare) = (&ours[&size], &bare[&size]);
        let what = |what: &str| format!("{} declarations: {what}", count(size as u64));
        table.times(what("cargo check, CPU"), ours.check, bare.check);
        table.times(what("cargo build, CPU"), ours.build, bare.build);
        table.row(what("model"), bytes(ours.size), "–", "–");
        table.row(what("reading the model"), ours.read.text(), "–", "–");
        table.spreads(what("start"), &ours.start, &bare.start);
    }
    table.print();

    let mut table = Table::new("one declaration of 2 000 : one of 500");
    for (name, figure, _) in linear() {
        let quotient = |figures: &BySize| {
            let [small, large] = [500, 2_000].map(|size| each(figures, size, figure));
            if small > 0.0 && large > 0.0 {
                ratio(large, small)
            } else {
                "–".to_owned()
            }
        };
        table.row(name, quotient(ours), quotient(bare), "");
    }
    table.print();
    let cost = |figure: Figure| Duration::from_secs_f64(each(ours, 2_000, figure).max(0.0));
    println!(
        "\none declaration of 2 000 costs {} to check, {} to build, and {:.0} µs at the start",
        milliseconds(cost(|it| it.check.as_secs_f64())),
        milliseconds(cost(|it| it.build.as_secs_f64())),
        cost(|it| it.start.median().as_secs_f64()).as_secs_f64() * 1e6,
    );
}

fn exceeded(ours: &BySize) -> Vec<String> {
    let worse = |(name, figure, noise): (&str, Figure, f64)| {
        let [small, large] = [500, 2_000].map(|size| each(ours, size, figure) * size as f64);
        let allowed = WORSE * 4.0 * (small + noise) + noise;
        (large > allowed).then(|| {
            let factor = ratio(large, small * 4.0);
            format!("{name}: one declaration of 2,000 costs {factor} times one of 500; {WORSE} are allowed")
        })
    };
    linear().into_iter().filter_map(worse).collect()
}
