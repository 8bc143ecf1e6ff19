//! `--env`: a database that is not ours to start. A proxy stands in for a server far away.

use serde_json::json;

use crate::project::{Project, SHOP};

pub(crate) fn another_environment() {
    let there = Project::new("there", &SHOP);
    let proxy = there.proxy(&[]);
    let address = proxy.uri.split(['@', '/']).nth(3).unwrap();
    let project = Project::new("here", &SHOP);
    let account = |role| json!({ "username": role, "password": { "$env": "ELSEWHERE_PASSWORD" } });
    let mut database = account("underlay_service");
    database["migrator"] = account("underlay_migrator");
    let mut config = json!({
        "sql_servers": [{
            "host": address,
            "tls_config": { "disabled": true },
            "databases": { "orders": database },
        }],
    });
    project.write("infra.json", &config.to_string());
    let run = |arguments: &[&str]| {
        let mut command = project.command(&[&["db"], arguments, &["--env", "infra.json"]].concat());
        command.env("ELSEWHERE_PASSWORD", "");
        crate::program::Outcome::of(command)
    };
    let status = run(&["status", "--check"]);
    assert_eq!(status.code, Some(1), "{}", status.stderr);
    let migrated = run(&["migrate"]);
    assert_eq!(
        migrated.stdout, "orders: applied 1_orders.up.sql\norders: applied 2_note.up.sql\n",
        "{}",
        migrated.stderr
    );
    assert_eq!(run(&["status", "--check"]).code, Some(0));
    let uri = run(&["uri"]).stdout;
    assert_eq!(
        uri,
        format!("postgresql://underlay_service@{address}/orders?sslmode=disable\n")
    );
    let second = run(&["uri", "--admin"]).stdout;
    assert!(
        second.starts_with("postgresql://underlay_migrator@"),
        "{second}"
    );
    // Nothing is lost there without a word, or at all.
    for (arguments, part) in [
        (&["rollback"][..], "to agree, add --yes"),
        (&["baseline"], "to agree, add --yes"),
        (&["seed"], "to agree, add --yes"),
        (
            &["reset", "--yes"],
            "those of another environment are not dropped from here",
        ),
        (&["migrate", "--test"], "cannot be used with"),
    ] {
        let refused = run(arguments);
        assert_eq!(refused.code, Some(2), "{arguments:?}: {}", refused.stderr);
        assert!(
            refused.stderr.contains(part),
            "{arguments:?}: {}",
            refused.stderr
        );
    }
    assert!(!project.root.join(".underlay").exists());

    config["sql_servers"][0]["databases"] = json!({});
    project.write("infra.json", &config.to_string());
    let missing = run(&["status"]);
    assert!(
        missing.stderr.contains(
            "infra config infra.json: the database `orders`, which is declared at src/main.rs:2:8, is in none of \
             sql_servers"
        ),
        "{}",
        missing.stderr
    );
    config["sql_servers"][0]["hots"] = json!("x");
    project.write("infra.json", &config.to_string());
    let wrong = run(&["status"]);
    assert!(
        wrong.stderr.contains(
            "infra config infra.json: sql_servers[0].hots: unknown field; did you mean `host`?"
        ),
        "{}",
        wrong.stderr
    );
}
