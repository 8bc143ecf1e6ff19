//! A process that provisions and then stays until it is told to go or killed; and the test's side of it.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions, Row, postgres::PgConnectOptions};
use underlay_local::{
    Checkout, Event, Kind, Options, Provisioned, Reporter, TestCluster, provision,
    recreate_databases,
};
use underlay_model::{
    Model,
    model::{Application, Database, Engine, Source},
};

/// The number of the account `nobody` and its group, on Debian and its kin.
pub(crate) const NOBODY: u32 = 65534;

/// What a refusal ends with when the rung was pinned.
pub(crate) const WAY_OUT: &str = "; mend that, or let another way be found: remove `use` or `url` from underlay.toml \
                                  and unset UNDERLAY_POSTGRES";

/// A checkout in the temporary folder; removed at the end.
pub(crate) struct Folder {
    pub(crate) checkout: Checkout,
    pub(crate) uses_docker: AtomicBool,
}

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "underlay-test-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let root = env::temp_dir().join(name);
        fs::create_dir_all(&root).unwrap();
        fs::write(root.join("Cargo.lock"), "").unwrap();
        Self {
            checkout: Checkout::find(&root).unwrap(),
            uses_docker: AtomicBool::new(false),
        }
    }

    pub(crate) fn application(&self) -> Start<'_> {
        Start {
            folder: self,
            kind: "run",
            databases: vec!["orders"],
            variables: Vec::new(),
            is_nobody: false,
        }
    }

    pub(crate) fn state(&self, path: &str) -> PathBuf {
        self.checkout.state.join(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let label = format!("label=dev.underlay.checkout={}", self.checkout.id);
        for (list, remove) in [
            (
                ["ps", "--all", "--quiet", "--filter", &label],
                ["rm", "--force", "--volumes"].as_slice(),
            ),
            (
                ["volume", "ls", "--quiet", "--filter", &label],
                ["volume", "rm"].as_slice(),
            ),
        ] {
            if self.uses_docker.load(Ordering::Relaxed) {
                for id in output("docker", &list).split_whitespace() {
                    output("docker", &[remove, &[id]].concat());
                }
            }
        }
        for entry in fs::read_dir(env::temp_dir())
            .into_iter()
            .flatten()
            .flatten()
        {
            let owner = fs::read_to_string(entry.path().join("owner.json")).unwrap_or_default();
            if owner.contains(&format!("\"checkout\": \"{}\"", self.checkout.id)) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        // What cannot be removed is left to the system: a test's verdict does not depend on it.
        let _ = fs::remove_dir_all(&self.checkout.root);
        for parent in ["/dev/shm", "/var/tmp", "/tmp"] {
            for uid in [0, 1000, NOBODY] {
                let _ = fs::remove_dir_all(
                    Path::new(parent).join(format!("underlay-{uid}-{}", self.checkout.id)),
                );
            }
        }
    }
}

/// How to start an application.
pub(crate) struct Start<'a> {
    folder: &'a Folder,
    kind: &'static str,
    databases: Vec<&'static str>,
    variables: Vec<(&'static str, String)>,
    is_nobody: bool,
}

impl Start<'_> {
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    pub(crate) fn test(mut self) -> Self {
        self.kind = "test";
        self
    }

    /// Runs it as somebody who is not root, and owns the checkout. Who is not root already stays who he is.
    pub(crate) fn by_nobody(mut self) -> Self {
        self.is_nobody = fs::metadata("/proc/self").unwrap().uid() == 0;
        self
    }

    pub(crate) fn databases(mut self, databases: &[&'static str]) -> Self {
        self.databases = databases.to_vec();
        self
    }

    /// Starts it without waiting for anything.
    pub(crate) fn spawn(self) -> Running {
        let request = json!({ "root": self.folder.checkout.root, "kind": self.kind, "databases": self.databases });
        let mut program = env::current_exe().unwrap();
        if self.is_nobody {
            // The target folder may be closed to others. A child copies it: if this process had the copy open for
            // writing while another test's thread forks, it could not be run.
            let copy = self.folder.checkout.root.join("application");
            output("cp", &[program.to_str().unwrap(), copy.to_str().unwrap()]);
            program = copy;
        }
        let mut command = Command::new(program);
        for name in [
            "UNDERLAY_POSTGRES",
            "UNDERLAY_POSTGRES_BIN",
            "UNDERLAY_POSTGRES_URL",
            "UNDERLAY_NAMESPACE",
            "UNDERLAY_CACHE",
            "DOCKER_HOST",
        ] {
            command.env_remove(name);
        }
        command
            .env("UNDERLAY_LOCAL_APPLICATION", request.to_string())
            .envs(self.variables);
        if self.is_nobody {
            chown(&self.folder.checkout.root, Some(NOBODY), Some(NOBODY)).unwrap();
            command
                .uid(NOBODY)
                .gid(NOBODY)
                .current_dir("/")
                .env("HOME", &self.folder.checkout.root);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Running { child, output }
    }

    /// Starts it and waits until everything is there.
    pub(crate) fn provision(self) -> Up {
        self.spawn().provisioned()
    }

    /// Starts it and expects the errors that it ends with.
    pub(crate) fn refusal(self) -> String {
        let answer = self.spawn().answer();
        match answer.get("error") {
            Some(error) => error.as_str().unwrap().to_owned(),
            None => panic!("this was meant to fail: {answer}"),
        }
    }
}

/// An application that was started.
pub(crate) struct Running {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Running {
    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    pub(crate) fn provisioned(mut self) -> Up {
        let answer = self.answer();
        if let Some(error) = answer.get("error") {
            panic!(
                "provisioning failed: {}\n{}",
                error.as_str().unwrap(),
                answer["events"]
            );
        }
        Up {
            answer,
            running: self,
        }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The end of its input tells it to go; a process that was killed is gone already.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// An application that has everything it needs.
pub(crate) struct Up {
    pub(crate) answer: Value,
    running: Running,
}

impl Up {
    pub(crate) fn text(&self, pointer: &str) -> String {
        self.answer
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{pointer}: {}", self.answer))
            .to_owned()
    }

    pub(crate) fn host(&self) -> String {
        self.text("/config/sql_servers/0/host")
    }

    pub(crate) fn line(&self) -> String {
        self.text("/line")
    }

    /// Runs a statement on a database and gives the rows' first column.
    pub(crate) fn query(&mut self, database: &str, sql: &str) -> Vec<String> {
        self.ask(json!({ "database": database, "sql": sql }))
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Runs a statement as the `service` or the `migrator` of the infra config, or as a role whose password is its name.
    pub(crate) fn query_as(
        &mut self,
        role: &str,
        database: &str,
        sql: &str,
    ) -> Result<Vec<String>, String> {
        self.ask(json!({ "database": database, "sql": sql, "as": role }))
    }

    pub(crate) fn recreate(&mut self, databases: &[&str]) -> Result<Vec<String>, String> {
        self.ask(json!({ "recreate": databases }))
    }

    /// What `Debug` shows of everything that there is.
    pub(crate) fn debug(&mut self) -> String {
        self.ask(json!({ "debug": true })).unwrap().remove(0)
    }

    /// What the first declared database says of one of its roles.
    pub(crate) fn role(&self, role: &str, field: &str) -> String {
        let databases = &self.answer["config"]["sql_servers"][0]["databases"];
        let database = databases.as_object().unwrap().values().next().unwrap();
        let place = match role {
            "migrator" => &database["migrator"],
            _ => database,
        };
        place[field].as_str().unwrap().to_owned()
    }

    /// The template of a name, built with a statement.
    pub(crate) fn template(&mut self, name: &str, sql: &str) -> Result<String, String> {
        Ok(self.ask(json!({ "template": name, "sql": sql }))?.remove(0))
    }

    pub(crate) fn clone_database(&mut self, template: &str) -> String {
        self.ask(json!({ "clone": template })).unwrap().remove(0)
    }

    pub(crate) fn drop_database(&mut self, name: &str) -> Result<Vec<String>, String> {
        self.ask(json!({ "drop": name }))
    }

    fn ask(&mut self, request: Value) -> Result<Vec<String>, String> {
        self.send(&request);
        self.receive()
    }

    /// Asks for a template without waiting for it.
    pub(crate) fn begin_template(&mut self, name: &str, sql: &str) {
        self.send(&json!({ "template": name, "sql": sql }));
    }

    fn send(&mut self, request: &Value) {
        writeln!(self.running.child.stdin.as_mut().unwrap(), "{request}").unwrap();
    }

    pub(crate) fn receive(&mut self) -> Result<Vec<String>, String> {
        let answer = self.running.answer();
        match answer.get("rows") {
            Some(rows) => Ok(rows
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row.as_str().unwrap().to_owned())
                .collect()),
            None => Err(answer["error"].as_str().unwrap().to_owned()),
        }
    }

    pub(crate) fn kill(mut self) {
        self.running.kill();
    }
}

/// Waits until a condition holds, and fails when it does not within a minute.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "not so after a minute: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl Reporter for Recorder {
    fn report(&self, event: Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

/// What the started process does.
pub(crate) fn run(request: &str) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let request: Value = serde_json::from_str(request).unwrap();
    let checkout = Checkout::find(Path::new(request["root"].as_str().unwrap())).unwrap();
    let kind = if request["kind"] == "test" {
        Kind::Test
    } else {
        Kind::Run
    };
    let mut model = Model::empty(Application {
        name: "shop".to_owned(),
        version: "0.1.0".to_owned(),
    });
    for name in request["databases"].as_array().unwrap() {
        model.databases.push(database(name.as_str().unwrap()));
    }
    let recorder = Recorder::default();
    let options = Options {
        kind,
        ..Options::default()
    };
    let provisioned = match runtime.block_on(provision(&model, &checkout, &options, &recorder)) {
        Ok(provisioned) => provisioned,
        Err(errors) => {
            let events = recorder.0.lock().unwrap().clone();
            println!(
                "{}",
                json!({ "error": errors.to_string(), "events": events })
            );
            return ExitCode::FAILURE;
        }
    };
    let events = recorder.0.lock().unwrap().clone();
    let line = provisioned
        .postgres
        .as_ref()
        .map(underlay_local::PostgresUsed::line);
    println!(
        "{}",
        json!({ "config": provisioned.config, "postgres": provisioned.postgres, "line": line, "events": events, "phases": provisioned.phases })
    );
    let mut cluster = None;
    for line in std::io::stdin().lines() {
        let request: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let answer = match runtime.block_on(serve(&provisioned, &mut cluster, &request)) {
            Ok(rows) => json!({ "rows": rows }),
            Err(error) => json!({ "error": error }),
        };
        println!("{answer}");
    }
    drop(provisioned);
    ExitCode::SUCCESS
}

async fn serve(
    provisioned: &Provisioned,
    cluster: &mut Option<TestCluster>,
    request: &Value,
) -> Result<Vec<String>, String> {
    let text = |key: &str| request.get(key).and_then(Value::as_str);
    let sql = text("sql").unwrap_or_default().to_owned();
    if let Some(database) = text("database") {
        let mut options = provisioned
            .admin
            .as_ref()
            .unwrap()
            .connect_options(database);
        if let Some(role) = text("as") {
            let (name, password) = login(provisioned, role);
            options = options.username(&name).password(&password);
        }
        return query(options, sql).await.map_err(|error| error.to_string());
    }
    if let Some(names) = request.get("recreate") {
        let names: Vec<String> = serde_json::from_value(names.clone()).unwrap();
        let recreated = recreate_databases(provisioned, &names).await;
        return recreated
            .map(|()| Vec::new())
            .map_err(|error| error.to_string());
    }
    if cluster.is_none() {
        *cluster = Some(
            TestCluster::start(provisioned, &underlay_local::Silent)
                .await
                .map_err(|it| it.to_string())?,
        );
    }
    let cluster = cluster.as_ref().unwrap();
    if request.get("debug").is_some() {
        return Ok(vec![format!("{provisioned:#?} {cluster:#?}")]);
    }
    let answer = if let Some(name) = text("template") {
        cluster
            .template(name, async |options| query(options, sql).await.map(drop))
            .await
    } else if let Some(template) = text("clone") {
        cluster.clone(template).await
    } else {
        cluster
            .drop(text("drop").unwrap())
            .await
            .map(|()| String::new())
    };
    answer.map(|it| vec![it]).map_err(|error| error.to_string())
}

/// The name and password of a role.
fn login(provisioned: &Provisioned, role: &str) -> (String, String) {
    let database = provisioned.config.sql_servers[0]
        .databases
        .values()
        .next()
        .unwrap();
    let (name, password) = match role {
        "service" => (&database.username, &database.password),
        "migrator" => {
            let migrator = database.migrator.as_ref().unwrap();
            (&migrator.username, &migrator.password)
        }
        other => return (other.to_owned(), other.to_owned()),
    };
    (name.clone(), password.expose().to_owned())
}

async fn query(options: PgConnectOptions, sql: String) -> Result<Vec<String>, sqlx::Error> {
    let mut connection = options.connect().await?;
    let rows = sqlx::query(AssertSqlSafe(sql))
        .fetch_all(&mut connection)
        .await?;
    Ok(rows.iter().map(|row| row.get::<String, _>(0)).collect())
}

fn database(name: &str) -> Database {
    Database {
        name: name.to_owned(),
        engine: Engine::Postgres,
        migrations: Vec::new(),
        migrations_dir: None,
        outbox: false,
        service: String::new(),
        doc: String::new(),
        source: Source {
            file: "src/main.rs".to_owned(),
            line: 1,
            column: 1,
            ..Source::default()
        },
    }
}

/// The output of a command, for what only the system can say.
pub(crate) fn output(program: &str, arguments: &[&str]) -> String {
    let mut text = String::new();
    let mut child = Command::new(program)
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    child.wait().unwrap();
    text
}
