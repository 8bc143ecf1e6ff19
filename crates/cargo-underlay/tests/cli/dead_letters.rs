//! `cargo underlay topic dead-letters` on a real application: while it runs, after it has stopped, and after it was killed.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    program::{self, Outcome},
    project::Project,
};

/// How long anything may take; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

const MANIFEST: &str = "[package]\nname = 'letters'\nversion = '0.1.0'\nedition = '2024'\n[workspace]\n[dependencies]\n\
                        underlay = { path = '{repository}/crates/underlay', features = ['cron'] }\n\
                        serde = '1'\nserde_json = '1'\ntokio = { version = '1', features = ['sync'] }\n";

/// The application, running.
struct Application {
    child: Child,
    address: SocketAddr,
    /// What it logs after it listens.
    log: mpsc::Receiver<String>,
}

impl Application {
    fn start(project: &Project) -> Self {
        let binary = project.target().join("debug/letters");
        let mut child = Command::new(binary.with_extension(std::env::consts::EXE_EXTENSION))
            .current_dir(&project.root)
            .env("UNDERLAY_LISTEN", "127.0.0.1:0")
            .env("NO_COLOR", "1")
            .env_remove("UNDERLAY_NAMESPACE")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines.by_ref().find_map(|line| {
            let line = line.unwrap();
            line.split_once("listening on http://")
                .map(|(_, address)| address.parse().unwrap())
        });
        let (logged, log) = mpsc::channel();
        thread::spawn(move || {
            // To the end, so that it never waits for a reader.
            lines
                .map_while(Result::ok)
                .for_each(|line| drop(logged.send(line)));
        });
        Self {
            child,
            address: address.expect("it listens"),
            log,
        }
    }

    fn call(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    /// Places an order that is given up, and waits until it is. The message's id.
    fn give_up(&self, number: i64) -> String {
        let order = json!({ "customer": "ann", "number": number }).to_string();
        let (status, body) = self.call("POST", "/orders", &order);
        assert_eq!(status, 200, "{body}");
        let id: String = serde_json::from_str(&body).unwrap();
        let part = "the message was dead-lettered";
        while !self.log.recv_timeout(PATIENCE).unwrap().contains(part) {}
        id
    }

    fn stop(mut self) {
        let kill = format!("kill -TERM {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(status.success());
        assert!(self.child.wait().unwrap().success());
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a verb that does what it is asked.
#[track_caller]
fn done(project: &Project, arguments: &[&str]) -> String {
    run(project, arguments).done()
}

fn run(project: &Project, arguments: &[&str]) -> Outcome {
    project.underlay(&[&["topic", "dead-letters"], arguments].concat())
}

/// The ids of the letters that are listed.
#[track_caller]
fn listed(project: &Project) -> Vec<String> {
    let list = run(project, &["list", "orders/billing", "--json"]).json(0);
    let letters = list["dead_letters"].as_array().unwrap().iter();
    let id = |it: &Value| it["id"].as_str().unwrap().to_owned();
    letters.map(id).collect()
}

#[test]
fn of_a_real_application() {
    let project = Project::new(
        "letters",
        &[
            ("Cargo.toml", MANIFEST),
            (
                "src/main.rs",
                include_str!("../../../../tests/src/bin/letters.rs"),
            ),
        ],
    );
    let counts = |billing| {
        format!("SUBSCRIPTION    DEAD LETTERS\norders/billing  {billing}\norders/mail     0\n")
    };
    // Nothing runs: the binary is built and run as a job.
    assert_eq!(done(&project, &["list"]), counts(0));
    let none = "`orders/billing` has no dead letters\n";
    assert_eq!(done(&project, &["list", "orders/billing"]), none);

    let application = Application::start(&project);
    let ids: Vec<String> = (1..=3).map(|number| application.give_up(number)).collect();
    assert_eq!(listed(&project), ids);
    assert_eq!(done(&project, &["list"]), counts(3));
    let table = done(&project, &["list", "orders/billing", "--limit", "1"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2, "{table}");
    assert!(
        lines[0].starts_with("ID  ") && lines[0].ends_with("  KEY  REASON"),
        "{table}"
    );
    let reason = "the message can never be handled: no account for ann";
    assert!(
        lines[1].starts_with(&format!("{}  1         20", ids[0]))
            && lines[1].ends_with(&format!("  -    {reason}")),
        "{table}"
    );
    let shown = done(&project, &["show", "orders/billing", &ids[1]]);
    assert!(
        shown.starts_with(&format!("id: {}\nattempts: 1\n", ids[1])),
        "{shown}"
    );
    let rest = format!(
        "reason: {reason}\nattributes:\n  customer: ann\nmessage:\n{{\n  \"customer\": \"ann\",\n  \"number\": 2\n}}\n"
    );
    assert!(shown.ends_with(&rest), "{shown}");

    let unknown = "no subscription `orders/biling` is declared; did you mean `orders/billing`?";
    let problems = run(&project, &["list", "orders/biling", "--json"]).problems(1);
    assert_eq!(problems[0].1, unknown);
    let problems = run(
        &project,
        &["release", "orders/billing", "nonsense", "--json"],
    )
    .problems(1);
    assert_eq!(
        problems[0].1,
        "there is no dead letter `nonsense` of `orders/billing`"
    );

    assert_eq!(
        done(&project, &["discard", "orders/billing", &ids[2]]),
        "orders/billing: discarded 1\n"
    );
    assert_eq!(application.call("POST", "/mended", "").0, 200);
    assert_eq!(
        done(&project, &["release", "orders/billing", &ids[0]]),
        "orders/billing: released 1\n"
    );
    assert_eq!(application.call("GET", "/billed/1", "").1, "[1]");
    application.stop();

    // It has stopped: the job says the same.
    assert_eq!(listed(&project), ids[1..2]);
    assert_eq!(done(&project, &["show", "orders/billing", &ids[1]]), shown);
    let outcome = run(&project, &["list", "orders/biling"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
    assert_eq!(outcome.stderr, format!("error: {unknown}\n"));

    // It was killed, and somebody else listens by now where it did.
    Application::start(&project).kill();
    let address = project
        .root
        .join(".underlay/default/topics-letters.redb.address");
    assert!(address.exists());
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    other.set_nonblocking(true).unwrap();
    fs::write(&address, format!("{}\n", other.local_addr().unwrap())).unwrap();
    assert_eq!(listed(&project), ids[1..2]);
    let nobody = other.accept().map(drop).unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);

    elsewhere(&project);
    assert_eq!(listed(&project), [""; 0]);
}

/// With `--env`, nothing ends by the dozen without a word.
fn elsewhere(project: &Project) {
    let broker = json!({
        "type": "memory",
        "path": project.root.join(".underlay/default/topics-letters.redb"),
        "topics": { "orders": { "subscriptions": {} } },
    });
    project.write("infra.json", &json!({ "pubsub": [broker] }).to_string());
    let all = ["discard", "orders/billing", "--all", "--env", "infra.json"];
    let refused = run(project, &[&all[..], &["--json"]].concat()).problems(2);
    assert_eq!(
        refused[0].1,
        "All dead letters of `orders/billing` in the environment of infra.json will be removed for good: go on? Nobody \
         can be asked here, since standard input is no terminal; to agree, add --yes"
    );
    let agreed = [&all[..], &["--yes"]].concat();
    assert_eq!(done(project, &agreed), "orders/billing: discarded 1\n");
}

#[test]
fn what_is_no_request() {
    for arguments in [
        &["list", "orders"][..],
        &["list", "--limit", "3"],
        &["list", "orders/billing", "--limit", "0"],
        &["show", "orders/billing"],
        &["release", "orders/billing"],
        &["release", "orders/billing", "1", "--all"],
        &["discard", "--all"],
        &["list", "--env", "a", "--namespace", "b"],
    ] {
        let mut command = program::command();
        command.args(["topic", "dead-letters"]).args(arguments);
        let outcome = Outcome::of(command);
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {}", outcome.stderr);
    }
}
