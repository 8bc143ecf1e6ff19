//! `cargo xtask bench start`: from the start of the shop example's process to `ready`, in a release build, beside the
//! same start by hand on axum and sqlx (`tests/baseline/orders.rs`), and beside bare PostgreSQL servers.
//!
//! Each figure is taken from outside: time counts from before the process exists. A warm start finds the server running
//! and the schema current; a restart finds the data and no server; a first start finds nothing.

#![allow(
    clippy::print_stdout,
    reason = "a bench is a command; printing is its output"
)]

mod postgres;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use underlay_tests::bench::{
    Application, Package, Spread, Table, answered, cargo, finish, folder, free_port, milliseconds,
    remove, repository, run, target, write,
};

use self::postgres::{Container, Native, first_query};

/// How long a warm start may take.
const BUDGET: Duration = Duration::from_millis(150);
const WARM_STARTS: usize = 15;
const COLD_STARTS: usize = 3;

/// Where the shop says whether it is ready.
const READY: &str = "/__underlay/health/ready";

const BARE: &str = include_str!("../../../baseline/orders.rs");

/// The built programs, and where this bench may write.
struct Bench {
    folder: PathBuf,
    shop: PathBuf,
    hello: PathBuf,
    bare: PathBuf,
}

/// Some starts of one program.
#[derive(Default)]
struct Starts {
    /// Until it said that it is ready.
    said: Spread,
    /// Until it answered a request.
    answered: Spread,
    /// What it said of itself, with the time from outside.
    lines: Vec<(Duration, String)>,
}

fn main() -> ExitCode {
    finish(compare())
}

fn compare() -> Result<Vec<String>, String> {
    let bench = Bench::build()?;
    let mut warm = Table::new(format!(
        "warm start of the shop, release, {WARM_STARTS} runs"
    ));
    let mut cold = Table::new(format!("first start and restart, {COLD_STARTS} runs"));
    let mut measured = Vec::new();
    match postgres::binaries() {
        Ok(binaries) => {
            println!(
                "a server of the user's own, and native servers: {}",
                binaries.display()
            );
            let pairs = bench.warm_by_url(&binaries)?;
            add_warm(&mut warm, "the user's server", &pairs);
            measured.push(("the user's server", pairs.0));
            let pairs = bench.native(&binaries, &mut cold)?;
            add_warm(&mut warm, "native", &pairs);
            measured.push(("native", pairs.0));
        }
        Err(why) => {
            warm.not_measured("the user's server", &why);
            warm.not_measured("native", &why);
            cold.not_measured("native", &why);
        }
    }
    match postgres::docker() {
        Ok(()) => {
            println!("Docker: {}", postgres::IMAGE);
            let pairs = bench.docker(&mut cold)?;
            add_warm(&mut warm, "Docker", &pairs);
            measured.push(("Docker", pairs.0));
        }
        Err(why) => {
            warm.not_measured("Docker", &why);
            cold.not_measured("Docker", &why);
        }
    }
    remove(&bench.folder.join("state"))?;
    warm.print();
    print_phases(&measured);
    cold.print();
    if measured.is_empty() {
        return Err(
            "no warm start was measured: this machine has neither PostgreSQL nor Docker".to_owned(),
        );
    }
    let slow = measured
        .iter()
        .filter(|(_, starts)| starts.said.median() > BUDGET);
    Ok(slow
        .map(|(name, starts)| {
            format!(
                "the warm start with {name} takes {}; {} are allowed",
                milliseconds(starts.said.median()),
                milliseconds(BUDGET)
            )
        })
        .collect())
}

fn add_warm(table: &mut Table, name: &str, (ours, bare): &(Starts, Starts)) {
    table.spreads(format!("{name}: to `ready`"), &ours.said, &bare.said);
    table.spreads(
        format!("{name}: to an answered request"),
        &ours.answered,
        &bare.answered,
    );
}

/// What the median warm start says of its phases and waits.
fn print_phases(measured: &[(&str, Starts)]) {
    println!("\nthe phases of the median warm start, as the shop logs them");
    for (name, starts) in measured {
        let median = starts.said.median();
        let line = starts.lines.iter().find(|(time, _)| *time == median);
        let text = line.map_or("", |(_, line)| line.as_str());
        let text = text.find("ready in").map_or(text, |at| &text[at..]);
        println!(
            "{name}: {text}; from the process's start {}",
            milliseconds(median)
        );
    }
}

impl Bench {
    fn build() -> Result<Self, String> {
        println!("building the shop, hello and the bare program in release");
        let folder = folder("start")?;
        let target = target()?;
        let arguments = [
            "build",
            "--release",
            "--package",
            "shop",
            "--package",
            "hello",
        ];
        run(&mut cargo(repository(), &target, &arguments))?;
        let package = Package::bare(folder.join("bare"), "orders-bare", BARE, "orders")?;
        run(&mut cargo(&package.root, &target, &["build", "--release"]))?;
        remove(&folder.join("state"))?;
        let binary = |name: &str| target.join("release").join(name);
        Ok(Self {
            shop: binary("shop"),
            hello: binary("hello"),
            bare: binary("orders-bare"),
            folder,
        })
    }

    /// A checkout of nothing: its state is its own, and so are its servers.
    fn checkout(&self, name: &str) -> Result<PathBuf, String> {
        let folder = self.folder.join("state").join(name);
        remove(&folder)?;
        write(&folder.join("underlay.toml"), "")?;
        Ok(folder)
    }

    /// One of our applications in a checkout, with a rung or a URL.
    fn application(&self, binary: &Path, checkout: &Path, postgres: &str, port: u16) -> Command {
        let mut command = Command::new(binary);
        command
            .current_dir(checkout)
            .env("UNDERLAY_POSTGRES", postgres)
            .env("UNDERLAY_LISTEN", format!("127.0.0.1:{port}"))
            .env("PaymentSigningKey", "bench")
            .env_remove("UNDERLAY_INFRA")
            .env_remove("UNDERLAY_NAMESPACE")
            .env_remove("RUST_LOG");
        command
    }

    /// One start of the shop, until it is ready; it runs on.
    fn start_shop(
        &self,
        checkout: &Path,
        postgres: &str,
    ) -> Result<(Application, Duration), String> {
        let port = free_port()?;
        let mut command = self.application(&self.shop, checkout, postgres, port);
        let mut shop = Application::start(&mut command)?;
        let (time, _) = shop.wait_for("ready in")?;
        answered(shop.begin(), port, READY)?;
        Ok((shop, time))
    }

    /// Warm starts of the shop and of the bare program, in turns.
    fn warm(
        &self,
        checkout: &Path,
        postgres: &str,
        bare_url: &str,
    ) -> Result<(Starts, Starts), String> {
        let (mut ours, mut bare) = (Starts::default(), Starts::default());
        for round in 0..=WARM_STARTS {
            let port = free_port()?;
            let mut command = self.application(&self.shop, checkout, postgres, port);
            let ours_now = start(&mut command, port, READY)?;
            let port = free_port()?;
            let mut command = Command::new(&self.bare);
            command
                .env("DATABASE_URL", bare_url)
                .env("LISTEN", format!("127.0.0.1:{port}"))
                .env_remove("RUST_LOG");
            let bare_now = start(&mut command, port, "/ready")?;
            // The first of each creates the databases and applies the migrations.
            if round > 0 {
                ours.add(ours_now);
                bare.add(bare_now);
            }
        }
        Ok((ours, bare))
    }

    /// Warm starts against one server that both programs are given.
    fn warm_by_url(&self, binaries: &Path) -> Result<(Starts, Starts), String> {
        let server = Native::new(binaries, &self.folder.join("state/server"))?;
        server.initialise()?;
        let running = server.start()?;
        first_query(&self.bare, &server.url(), Instant::now())?;
        let checkout = self.checkout("url")?;
        let starts = self.warm(&checkout, &server.url(), &server.url())?;
        running.stop()?;
        Ok(starts)
    }

    /// All starts with native servers: ours are started by the shop, the bare ones by this bench.
    fn native(&self, binaries: &Path, table: &mut Table) -> Result<(Starts, Starts), String> {
        let [mut first, mut first_bare, mut again, mut again_bare] = <[Spread; 4]>::default();
        for round in 0..COLD_STARTS {
            let checkout = self.checkout(&format!("native-{round}"))?;
            for spread in [&mut first, &mut again] {
                let (shop, time) = self.start_shop(&checkout, "native")?;
                shop.stop()?;
                // The server stops a little later, and a start at once would wait for that.
                postgres::wait_until_stopped(&checkout.join(".underlay/default/postgres"))?;
                spread.add(time);
            }
            let server = Native::new(binaries, &self.folder.join(format!("state/bare-{round}")))?;
            let begin = Instant::now();
            server.initialise()?;
            let running = server.start()?;
            first_bare.add(first_query(&self.bare, &server.url(), begin)?);
            running.stop()?;
            let begin = Instant::now();
            let running = server.start()?;
            again_bare.add(first_query(&self.bare, &server.url(), begin)?);
            running.stop()?;
        }
        table.spreads(
            "native: first start (bare: initdb, start, first query)",
            &first,
            &first_bare,
        );
        table.spreads(
            "native: restart (bare: start, first query)",
            &again,
            &again_bare,
        );

        // A native server stops with the last application that uses it: another one keeps it running.
        let checkout = self.checkout("native-warm")?;
        let mut keeper =
            Application::start(&mut self.application(&self.hello, &checkout, "native", 0))?;
        keeper.wait_for("ready in")?;
        let server = Native::new(binaries, &self.folder.join("state/bare-warm"))?;
        server.initialise()?;
        let running = server.start()?;
        first_query(&self.bare, &server.url(), Instant::now())?;
        let starts = self.warm(&checkout, "native", &server.url())?;
        running.stop()?;
        keeper.stop()?;
        Ok(starts)
    }

    /// All starts with containers.
    fn docker(&self, table: &mut Table) -> Result<(Starts, Starts), String> {
        let checkouts = (0..COLD_STARTS).map(|round| self.checkout(&format!("docker-{round}")));
        let checkouts: Vec<PathBuf> = checkouts.collect::<Result<_, _>>()?;
        let starts = self.docker_in(&checkouts, table);
        for checkout in &checkouts {
            postgres::remove_containers_of(checkout)?;
        }
        starts
    }

    fn docker_in(
        &self,
        checkouts: &[PathBuf],
        table: &mut Table,
    ) -> Result<(Starts, Starts), String> {
        let [mut first, mut first_bare, mut again, mut again_bare] = <[Spread; 4]>::default();
        let mut warm = None;
        for checkout in checkouts {
            let (shop, time) = self.start_shop(checkout, "docker")?;
            shop.stop()?;
            first.add(time);
            postgres::stop_containers_of(checkout)?;
            let (shop, time) = self.start_shop(checkout, "docker")?;
            shop.stop()?;
            again.add(time);

            let begin = Instant::now();
            let container = Container::run()?;
            first_bare.add(first_query(&self.bare, &container.url()?, begin)?);
            container.stop()?;
            let begin = Instant::now();
            container.start()?;
            again_bare.add(first_query(&self.bare, &container.url()?, begin)?);
            if warm.is_none() {
                warm = Some(self.warm(checkout, "docker", &container.url()?)?);
            }
            postgres::stop_containers_of(checkout)?;
        }
        table.spreads(
            "Docker: first start (bare: docker run, first query)",
            &first,
            &first_bare,
        );
        table.spreads(
            "Docker: restart (bare: docker start, first query)",
            &again,
            &again_bare,
        );
        warm.ok_or_else(|| "no start was measured".to_owned())
    }
}

impl Starts {
    fn add(&mut self, (said, answered, line): (Duration, Duration, String)) {
        self.said.add(said);
        self.answered.add(answered);
        self.lines.push((said, line));
    }
}

/// One start and stop: until the program said that it is ready, until it answered, and what it said.
fn start(
    command: &mut Command,
    port: u16,
    path: &str,
) -> Result<(Duration, Duration, String), String> {
    let mut application = Application::start(command)?;
    let answered = answered(application.begin(), port, path)?;
    let (said, line) = application.wait_for("ready in")?;
    application.stop()?;
    Ok((said, answered, line))
}
