//! Brokers and services that die while messages are on their way: nothing that was acknowledged is lost, order is kept per
//! key, and effects in a database happen once. What is counted is printed.
//!
//! `UNDERLAY_FAULT_MESSAGES` says how many messages; the default keeps the test short.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use sqlx::Row as _;
use underlay_local::Pin;

use crate::{
    application::{Application, Start, eventually, within},
    database::Server,
    folder::Folder,
    http::{Connection, block_on},
    servers::{Need, nats_server, trial},
};

/// How many messages, unless the environment says otherwise.
const MESSAGES: usize = 10_000;
/// Half of the keys are published at once, half in transactions.
const KEYS: usize = 32;
/// How many messages one request publishes.
const RUN: usize = 20;
const WORKERS: usize = 8;
/// How often an instance of the service is killed, and the broker.
const KILLS: usize = 10;
const BROKER_KILLS: usize = 3;
/// How many messages never succeed, and how many hang at first.
const POISON: usize = 10;
const HANGING: usize = 10;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("brokers::memory", &[Need::Native], || run(None)),
        trial("brokers::nats", &[Need::Native, Need::Nats], || {
            run(Some(NatsServer::start()))
        }),
    ]
}

/// A server that can be killed and started again at the same place.
struct NatsServer {
    program: PathBuf,
    home: PathBuf,
    address: String,
    child: Mutex<Option<Child>>,
}

impl NatsServer {
    fn start() -> Self {
        let home = env::temp_dir().join(format!("underlay-nats-{}", std::process::id()));
        fs::create_dir_all(&home).unwrap();
        let mut server = Self {
            program: nats_server().unwrap(),
            home,
            address: "127.0.0.1:-1".to_owned(),
            child: Mutex::default(),
        };
        server.address = server.launch();
        server
    }

    /// Starts it, and returns where it listens.
    fn launch(&self) -> String {
        let (host, port) = self.address.rsplit_once(':').unwrap();
        let child = Command::new(&self.program)
            .args(["--addr", host, "--port", port, "--jetstream", "--store_dir"])
            .arg(self.home.join("store"))
            .arg("--ports_file_dir")
            .arg(&self.home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let ports = self.home.join(format!("nats-server_{}.ports", child.id()));
        *self.child.lock().unwrap() = Some(child);
        eventually("the server says where it listens", || {
            let ports: Value = serde_json::from_str(&fs::read_to_string(&ports).ok()?).ok()?;
            Some(
                ports["nats"][0]
                    .as_str()?
                    .trim_start_matches("nats://")
                    .to_owned(),
            )
        })
    }

    fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// The courier in its checkout, with its database and its broker.
struct Courier {
    folder: Folder,
    server: Server,
    infra: Value,
}

impl Courier {
    fn new(nats: Option<&NatsServer>) -> Self {
        let folder = Folder::new();
        let server = Server::of_database(&folder, Pin::Native, "courier");
        let pubsub = match nats {
            None => json!({
                "type": "memory",
                "path": folder.path("broker.redb"),
                "topics": { "parcels": { "subscriptions": { "deliver": {}, "once": {} } } },
            }),
            Some(nats) => json!({
                "type": "nats",
                "hosts": nats.address,
                "provision": true,
                "topics": { "parcels": { "name": "parcels", "subscriptions": {
                    "deliver": { "name": "deliver" }, "once": { "name": "once" },
                } } },
            }),
        };
        let servers = serde_json::to_value(&server.provisioned.config.sql_servers).unwrap();
        let infra = json!({ "sql_servers": servers, "pubsub": [pubsub], "graceful_shutdown": { "total": 20 } });
        Self {
            folder,
            server,
            infra,
        }
    }

    fn start(&self) -> Start<'_> {
        let program = Path::new(env!("CARGO_BIN_EXE_courier"));
        Start::new(&self.folder, program).with("UNDERLAY_INFRA", self.infra.to_string())
    }
}

fn messages() -> usize {
    let asked = env::var("UNDERLAY_FAULT_MESSAGES");
    asked.map_or(MESSAGES, |it| it.parse().unwrap())
}

/// What was published, by key: the numbers that were acknowledged, and how many more may have been.
#[derive(Default)]
struct Published {
    acknowledged: BTreeMap<String, BTreeSet<i64>>,
    unknown: usize,
}

/// Publishes every key's messages in order, one run after another, at whatever instance is there.
fn publish(addresses: &Mutex<Vec<SocketAddr>>, progress: &AtomicUsize) -> Published {
    let published = Mutex::new(Published::default());
    let per_key = messages() / KEYS;
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (published, progress) = (&published, &progress);
            scope.spawn(move || {
                block_on(async {
                    let mut connection: Option<Connection> = None;
                    for first in (0..per_key).step_by(RUN) {
                        for key in (worker..KEYS).step_by(WORKERS) {
                            let count = RUN.min(per_key - first);
                            let how = if key % 2 == 0 { "publish" } else { "commit" };
                            let path = format!("/{how}/{how}-{key}/{first}/{count}");
                            // A run is sent once: one that was sent again would be other messages.
                            let answer = loop {
                                let Some(open) = &mut connection else {
                                    let address = {
                                        let addresses = addresses.lock().unwrap();
                                        addresses.get(worker % addresses.len().max(1)).copied()
                                    };
                                    if let Some(address) = address {
                                        connection = Connection::open(address).await.ok();
                                    }
                                    tokio::task::yield_now().await;
                                    continue;
                                };
                                break open.send("POST", &path, None).await;
                            };
                            let mut published = published.lock().unwrap();
                            if answer.as_ref().is_ok_and(|it| it.status == 200) {
                                let numbers = first as i64..(first + count) as i64;
                                let key = format!("{how}-{key}");
                                published
                                    .acknowledged
                                    .entry(key)
                                    .or_default()
                                    .extend(numbers);
                            } else {
                                published.unknown += count;
                            }
                            drop(published);
                            if answer.is_err() {
                                connection = None;
                            }
                            progress.fetch_add(count, Ordering::Relaxed);
                        }
                    }
                });
            });
        }
    });
    published.into_inner().unwrap()
}

fn run(nats: Option<NatsServer>) {
    let begin = Instant::now();
    let courier = Courier::new(nats.as_ref());
    // A broker in memory is one process's own.
    let instances = if nats.is_some() { 2 } else { 1 };
    let mut running: Vec<Application<'_>> =
        (0..instances).map(|_| courier.start().serve()).collect();
    for (what, count) in [("poison", POISON), ("hang", HANGING)] {
        for number in 0..count {
            let path = format!("/publish/{what}-{number}/0/1");
            running[0].post(&path, Value::Null).expect(200);
        }
    }
    let addresses = Mutex::new(running.iter().map(Application::address).collect::<Vec<_>>());
    let progress = Arc::new(AtomicUsize::new(0));
    let total = messages() / KEYS * KEYS;
    let published = thread::scope(|scope| {
        let publishing = scope.spawn(|| publish(&addresses, &progress));
        let steps = KILLS + if nats.is_some() { BROKER_KILLS } else { 0 };
        for step in 0..steps {
            let due = total * (step + 1) / (steps + 1);
            eventually("messages are published", || {
                (progress.load(Ordering::Relaxed) >= due).then_some(())
            });
            // Every fourth is the broker's turn.
            match &nats {
                Some(server) if step % 4 == 3 => {
                    server.kill();
                    server.launch();
                }
                _ => {
                    running.remove(0).kill();
                    let next = courier.start().serve();
                    running.push(next);
                    *addresses.lock().unwrap() = running.iter().map(Application::address).collect();
                }
            }
        }
        publishing.join().unwrap()
    });
    let publishing = begin.elapsed();

    let expected: usize = published.acknowledged.values().map(BTreeSet::len).sum();
    let missing = |table: &'static str| -> Vec<(String, i64)> {
        let rows = courier.server.query(table);
        let mut there: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
        for row in &rows {
            there.entry(row.get(0)).or_default().insert(row.get(1));
        }
        let none = BTreeSet::new();
        let keys = published.acknowledged.iter();
        keys.flat_map(|(key, numbers)| {
            let there = there.get(key).unwrap_or(&none);
            numbers
                .difference(there)
                .map(|number| (key.clone(), *number))
        })
        .collect()
    };
    let everything = |table: &'static str| {
        let mut left = usize::MAX;
        // As long as some come, others may.
        loop {
            let arrived = within(crate::application::PATIENCE, || {
                let now = missing(table).len();
                (now < left).then_some(now)
            });
            match arrived {
                Some(0) => return,
                Some(now) => left = now,
                None => panic!(
                    "{left} of {expected} acknowledged messages are lost: {:?}",
                    &missing(table)[..1]
                ),
            }
        }
    };
    everything("SELECT DISTINCT key, number FROM delivered");
    everything("SELECT DISTINCT key, number FROM effects");
    eventually("every hanging message is delivered", || {
        let hanging = courier
            .server
            .query("SELECT DISTINCT key FROM delivered WHERE key LIKE 'hang%'");
        (hanging.len() == HANGING).then_some(())
    });
    eventually("every poison message is given up", || {
        let dead = running[0].get("/dead").expect(200).json();
        (dead == json!(POISON)).then_some(())
    });
    for instance in running {
        instance.stop();
    }

    let deliveries = courier
        .server
        .query("SELECT key, number FROM delivered ORDER BY id");
    let mut seen: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
    let mut duplicates = 0;
    for row in &deliveries {
        let (key, number): (String, i64) = (row.get(0), row.get(1));
        let numbers = seen.entry(key.clone()).or_default();
        if numbers.contains(&number) {
            duplicates += 1;
            continue;
        }
        assert!(
            numbers.last() < Some(&number),
            "{key}: {number} came after {:?}",
            numbers.last()
        );
        numbers.insert(number);
    }
    let twice = courier.server.query(
        "SELECT key, number, count(*) FROM effects GROUP BY key, number HAVING count(*) > 1 LIMIT 1",
    );
    assert!(
        twice.is_empty(),
        "an effect happened {} times",
        twice[0].get::<i64, _>(2)
    );
    println!(
        "{}: {expected} messages acknowledged and {} unanswered, in {publishing:.1?}; service killed {KILLS} times{}; none \
         lost, order kept in {} keys, {duplicates} delivered more than once, each effect once; {} given up; {:.1?}",
        if nats.is_some() {
            "nats"
        } else {
            "memory, with a file"
        },
        published.unknown,
        if nats.is_some() {
            format!(", broker {BROKER_KILLS} times")
        } else {
            " and the broker with it".to_owned()
        },
        seen.len(),
        POISON,
        begin.elapsed(),
    );
}
