//! `cargo xtask bench databases`: a database of its own for each test, beside one that is created and migrated by hand;
//! two hundred tests at once; and what a query through a handle costs, beside a bare pool.
//!
//! The server is the test cluster that the ladder gives in a checkout of the bench's own, and the same for both sides.

#![allow(
    clippy::print_stdout,
    reason = "a bench is a command; printing is its output"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgPool};
use tokio::runtime::Runtime;
use underlay::prelude::*;
use underlay_backends::postgres::migrations::{self, Migration};
use underlay_local::{Checkout, Kind, Options, Provisioned, Silent, TestCluster, provision};
use underlay_model::InfraConfig;
use underlay_model::infra::Migrations;
use underlay_tests::bench::{
    Spread, Table, file_error, finish, folder, milliseconds, remove, repository, write,
};

/// How long a clone may take, in the median.
const CLONE_BUDGET: Duration = Duration::from_millis(30);
/// What a query through a handle may cost, as a multiple of one on a bare pool.
const QUERY_BUDGET: f64 = 1.02;
const CLONES: usize = 50;
const BY_HAND: usize = 15;
/// How many tests run at once in one process, and how many processes with one test each.
const TESTS: usize = 200;
const PROCESSES: usize = 24;
const ROUNDS: usize = 60;
const QUERIES: u32 = 500;

/// The argument of a process that runs one test, as `cargo nextest` has each test in a process.
const ONE_TEST: &str = "--one-test";
/// The argument of the process that measures queries, which is started as a deployment is.
const QUERIES_ALONE: &str = "--queries";

#[database("orders", migrations = "../migrations-example/orders")]
static ORDERS: Database;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some(ONE_TEST) => {
            one_test(0);
            ExitCode::SUCCESS
        }
        Some(QUERIES_ALONE) => finish(runtime().and_then(|runtime| runtime.block_on(queries()))),
        _ => finish(compare()),
    }
}

fn runtime() -> Result<Runtime, String> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the async runtime could not be started: {error}"))
}

/// What every test does: it finds its database empty, and its own row alone.
fn one_test(number: usize) {
    underlay::__private::test("bench", || async move {
        let sql = "INSERT INTO orders (customer, item, quantity) VALUES ($1, 'item', 1)";
        let inserted = sqlx::query(sql)
            .bind(number.to_string())
            .execute(&*ORDERS)
            .await;
        inserted.expect("the migrated table takes a row");
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM orders")
            .fetch_one(&*ORDERS)
            .await
            .expect("the table can be counted");
        assert_eq!(rows, 1, "another test's rows are here");
    });
}

fn compare() -> Result<Vec<String>, String> {
    let state = folder("databases")?.join("checkout");
    remove(&state)?;
    write(&state.join("underlay.toml"), "")?;
    std::env::set_current_dir(&state).map_err(|error| file_error("enter", &state, &error))?;
    let runtime = runtime()?;
    let checkout = Checkout::find(&state).map_err(|error| error.to_string())?;
    let provisioned = runtime.block_on(test_cluster(&checkout))?;
    if let Some(postgres) = &provisioned.postgres {
        println!("{}", postgres.line());
    }
    let files = migrations::read_dir(&repository().join("migrations-example/orders"))
        .map_err(|problems| problems.join("\n"))?;
    let mut exceeded = Vec::new();

    let mut table = Table::new(format!(
        "a database for a test, {CLONES} and {BY_HAND} times"
    ));
    let (clones, by_hand) = runtime.block_on(databases(&provisioned, &files))?;
    table.spreads("cloned, beside created and migrated", &clones, &by_hand);
    if clones.median() > CLONE_BUDGET {
        exceeded.push(format!(
            "a clone takes {}; {} are allowed",
            milliseconds(clones.median()),
            milliseconds(CLONE_BUDGET)
        ));
    }
    table.print();

    let begin = Instant::now();
    let tests: Vec<_> = (0..TESTS)
        .map(|number| std::thread::spawn(move || one_test(number)))
        .collect();
    let passed = tests
        .into_iter()
        .filter_map(|test| test.join().ok())
        .count();
    println!(
        "\n{TESTS} tests in threads of one process: {passed} passed in {:.1?}",
        begin.elapsed()
    );
    let begin = Instant::now();
    let program =
        std::env::current_exe().map_err(|error| format!("where is this program? {error}"))?;
    let in_processes = in_processes(&program)?;
    println!(
        "{PROCESSES} tests in a process each: {in_processes} passed in {:.1?}",
        begin.elapsed()
    );
    if passed != TESTS || in_processes != PROCESSES {
        exceeded.push("not every test passed".to_owned());
    }

    let measured = Command::new(&program)
        .arg(QUERIES_ALONE)
        .env("UNDERLAY_INFRA", deployment(&provisioned)?)
        .status()
        .map_err(|error| file_error("run", &program, &error))?;
    if !measured.success() {
        exceeded.push("the queries: see above".to_owned());
    }
    // The tests of this very process used it.
    let stopped = underlay_local::down(&checkout, None, true);
    runtime
        .block_on(stopped)
        .map_err(|errors| errors.to_string())?;
    Ok(exceeded)
}

async fn test_cluster(checkout: &Checkout) -> Result<Provisioned, String> {
    let model = underlay::model().map_err(|error| error.to_string())?;
    let options = Options {
        kind: Kind::Test,
        ..Options::default()
    };
    provision(&model, checkout, &options, &Silent)
        .await
        .map_err(|errors| errors.to_string())
}

async fn databases(
    provisioned: &Provisioned,
    files: &[Migration],
) -> Result<(Spread, Spread), String> {
    let text = |error: underlay_local::Error| error.to_string();
    let cluster = TestCluster::start(provisioned, &Silent)
        .await
        .map_err(text)?;
    let build = async |options: PgConnectOptions| migrate(&options, files).await;
    let template = cluster.template("bench", build).await.map_err(text)?;
    let (mut clones, mut by_hand) = (Spread::default(), Spread::default());
    for round in 0..CLONES {
        let begin = Instant::now();
        let name = cluster.clone(&template).await.map_err(text)?;
        clones.add(begin.elapsed());
        cluster.drop(&name).await.map_err(text)?;
        if round < BY_HAND {
            by_hand.add(created_and_migrated(provisioned, files).await?);
        }
    }
    Ok((clones, by_hand))
}

/// What a test suite does by itself: creates a database and applies the migrations.
async fn created_and_migrated(
    provisioned: &Provisioned,
    files: &[Migration],
) -> Result<Duration, String> {
    let admin = provisioned.admin.as_ref().ok_or("there is no server")?;
    let run = async |sql: &'static str| {
        let mut connection = admin.connect_options("postgres").connect().await?;
        connection.execute(AssertSqlSafe(sql)).await?;
        connection.close().await
    };
    let text = |error: sqlx::Error| error.to_string();
    let begin = Instant::now();
    run("CREATE DATABASE by_hand").await.map_err(text)?;
    migrate(&admin.connect_options("by_hand"), files).await?;
    let time = begin.elapsed();
    run("DROP DATABASE by_hand").await.map_err(text)?;
    Ok(time)
}

async fn migrate(options: &PgConnectOptions, files: &[Migration]) -> Result<(), String> {
    let mut connection = options.connect().await.map_err(|error| error.to_string())?;
    let deadline = (Instant::now() + Duration::from_secs(60)).into();
    migrations::apply(&mut connection, files, None, deadline)
        .await
        .map_err(|problems| problems.join("\n"))?;
    connection.close().await.map_err(|error| error.to_string())
}

fn in_processes(program: &Path) -> Result<usize, String> {
    let start = |program: &PathBuf| {
        let mut command = Command::new(program);
        command.arg(ONE_TEST).spawn()
    };
    let program = program.to_owned();
    let children: Result<Vec<_>, _> = (0..PROCESSES).map(|_| start(&program)).collect();
    let children = children.map_err(|error| file_error("run", &program, &error))?;
    let passed = children
        .into_iter()
        .filter_map(|mut child| child.wait().ok())
        .filter(|status| status.success());
    Ok(passed.count())
}

/// The infra config of a deployment on the server: the database is the one that every server has.
fn deployment(provisioned: &Provisioned) -> Result<PathBuf, String> {
    let mut config = provisioned.config.clone();
    for database in config
        .sql_servers
        .iter_mut()
        .flat_map(|it| it.databases.values_mut())
    {
        database.name = Some("postgres".to_owned());
    }
    config.migrations = Migrations::Off;
    let folder = std::env::current_dir().map_err(|error| error.to_string())?;
    let path = folder.join("infra.json");
    write(&path, &config.to_json())?;
    Ok(path)
}

/// The same query through a handle and on a bare pool to the same database, in turns; the handle is bound as in
/// production, for the process.
async fn queries() -> Result<Vec<String>, String> {
    let path = std::env::var("UNDERLAY_INFRA").map_err(|error| error.to_string())?;
    let text = std::fs::read_to_string(&path)
        .map_err(|error| file_error("read", Path::new(&path), &error))?;
    let config = InfraConfig::read(&text, &|_| None)
        .map_err(|problems| format!("{path}: {} problems", problems.len()))?;
    let server = config.sql_servers.first().ok_or("there is no server")?;
    let database = server
        .databases
        .get("orders")
        .ok_or("there is no database")?;
    let options = underlay_backends::postgres::service_options(server, "orders", database)?;
    let running = underlay::start()
        .await
        .map_err(|error| format!("{error:?}"))?;
    let bare_pool = PgPoolOptions::new()
        .max_connections(100)
        .acquire_timeout(Duration::from_secs(10))
        .connect_lazy_with(options);
    let (mut ours, mut bare) = (Spread::default(), Spread::default());
    for round in 0..=ROUNDS {
        let ours_first = round % 2 == 0;
        let mut times = [Duration::ZERO; 2];
        for is_ours in [ours_first, !ours_first] {
            times[usize::from(is_ours)] = if is_ours {
                time(|| &*ORDERS).await?
            } else {
                time(|| &bare_pool).await?
            };
        }
        // The first round opens the connections.
        if round > 0 {
            bare.add(times[0]);
            ours.add(times[1]);
        }
    }
    running
        .shutdown()
        .await
        .map_err(|error| format!("{error:?}"))?;
    let mut table = Table::new(format!("{QUERIES} times `SELECT 1`, {ROUNDS} rounds"));
    table.spreads("through a handle, beside a bare pool", &ours, &bare);
    table.print();
    let ratio = ours.median().as_secs_f64() / bare.median().as_secs_f64();
    println!("ratio of the medians: {ratio:.3}");
    Ok(if ratio > QUERY_BUDGET {
        vec![format!(
            "a query through a handle costs {ratio:.3} times that of a bare pool; {QUERY_BUDGET} is allowed"
        )]
    } else {
        Vec::new()
    })
}

async fn time<'a>(pool: impl Fn() -> &'a PgPool) -> Result<Duration, String> {
    let begin = Instant::now();
    for _ in 0..QUERIES {
        sqlx::query("SELECT 1")
            .execute(pool())
            .await
            .map_err(|error| error.to_string())?;
    }
    Ok(begin.elapsed())
}
