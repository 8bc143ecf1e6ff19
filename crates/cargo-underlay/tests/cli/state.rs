//! The subcommands about what runs on this machine. Nothing that is declared here needs a server.

use std::fs;

use serde_json::json;

use crate::workspace;

#[test]
fn what_is_declared_comes_up_and_goes_away() {
    let main = "underlay::bucket!(\"uploads\");\nfn main() {\n    \
                print!(\"{}\", std::env::var(\"UNDERLAY_INFRA\").unwrap());\n    std::process::exit(7)\n}\n";
    let project = workspace(
        "up",
        "",
        &[("shop", &["underlay"], &[("src/main.rs", main)])],
    );
    let root = project.root.canonicalize().unwrap();
    let up = project.underlay(&["up", "--json"]).json(0);
    let infra = root.join(".underlay/default/infra.json");
    assert_eq!(up["infra"], json!(infra));
    assert_eq!(
        (&up["namespace"], &up["databases"]),
        (&json!("default"), &json!([]))
    );
    assert_eq!(up["stops_with_this_process"], json!(false));
    let config: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&infra).unwrap()).unwrap();
    assert!(
        config["object_storage"][0]["buckets"]["uploads"].is_object(),
        "{config:#}"
    );
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&infra).unwrap().permissions())
            & 0o777,
        0o600
    );

    let shop = project
        .target()
        .join("debug/shop")
        .with_extension(std::env::consts::EXE_EXTENSION);
    let exec = project.underlay(&[
        "exec",
        "--namespace",
        "default",
        "--",
        shop.to_str().unwrap(),
    ]);
    assert_eq!(
        (exec.code, exec.stdout),
        (Some(7), infra.to_str().unwrap().to_owned()),
        "{}",
        exec.stderr
    );
    let missing = project.underlay(&["exec", "no-such-program"]);
    assert_eq!(missing.code, Some(1));
    assert!(
        missing
            .stderr
            .contains("error: cannot run no-such-program: No such file or directory"),
        "{}",
        missing.stderr
    );

    let servers = project.underlay(&["ps", "--here", "--json"]).json(0);
    assert_eq!(servers["servers"], json!([]));
    let refused = project.underlay(&["reset", "--json"]).problems(2);
    assert!(
        refused[0]
            .1
            .starts_with("All data of the namespace `default` of "),
        "{refused:?}"
    );
    assert!(refused[0].1.ends_with("to agree, add --yes"), "{refused:?}");
    assert!(infra.exists());
    let removed = project.underlay(&["reset", "--yes", "--json"]).json(0);
    assert!(
        removed["removed"]
            .as_array()
            .unwrap()
            .contains(&json!(infra)),
        "{removed:#}"
    );
    assert!(!infra.exists());
    let down = project.underlay(&["down", "--json"]).json(0);
    assert_eq!(down["removed"], json!([]));
}

#[test]
fn namespaces() {
    let project = workspace("namespaces", "", &[]);
    let list = |active: &str, names: &[&str]| {
        let found = project.underlay(&["namespace", "list", "--json"]).json(0);
        assert_eq!(found, json!({ "active": active, "namespaces": names }));
    };
    let refused = |arguments: &[&str], code, part: &str| {
        let arguments = [&["namespace"], arguments, &["--json"]].concat();
        let problems = project.underlay(&arguments).problems(code);
        assert!(
            problems.len() == 1 && problems[0].1.contains(part),
            "{problems:?}"
        );
    };
    list("default", &["default"]);
    refused(&["switch", "pr-1"], 1, "there is no namespace `pr-1`");
    refused(&["create", "Pr 1"], 1, "`Pr 1` is not a namespace's name");
    assert_eq!(
        project
            .underlay(&["ns", "create", "pr-1", "--json"])
            .json(0),
        json!({ "namespace": "pr-1", "created": true })
    );
    refused(&["create", "pr-1"], 1, "exists already");
    list("default", &["default", "pr-1"]);
    assert_eq!(
        project.underlay(&["ns", "switch", "pr-1"]).stdout,
        "switched pr-1\n"
    );
    list("pr-1", &["default", "pr-1"]);
    assert_eq!(
        project.underlay(&["ns", "list"]).stdout,
        "  default\n* pr-1\n"
    );
    refused(&["delete", "pr-1", "--yes"], 1, "is the active one");
    project
        .underlay(&["ns", "switch", "default", "--json"])
        .json(0);
    refused(&["delete", "pr-1"], 2, "to agree, add --yes");
    list("default", &["default", "pr-1"]);
    project
        .underlay(&["ns", "delete", "pr-1", "--yes", "--json"])
        .json(0);
    list("default", &["default"]);
}

#[test]
fn doctor_fails_only_if_something_needed_is_missing() {
    let project = workspace("doctor", "", &[]);
    let outcome = project.underlay(&["doctor", "--json"]);
    let report = outcome.json(outcome.code.unwrap());
    let checks = report["checks"].as_array().unwrap();
    for name in ["rustc", "cargo", "docker", "postgres", "port", "disk"] {
        assert!(
            checks.iter().any(|it| it["name"] == name),
            "{name}: {report:#}"
        );
    }
    let has_problem = checks.iter().any(|it| it["status"] == "problem");
    assert_eq!(outcome.code, Some(i32::from(has_problem)), "{report:#}");
    let text = project.underlay(&["doctor"]);
    assert_eq!(text.code, outcome.code);
    assert!(text.stdout.starts_with("ok       rustc"), "{}", text.stdout);
}
