//! What a start says when something is in the way. Each text is one sentence that says what to do, and none holds a
//! password.

use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
};

use expect_test::{Expect, expect};
use libtest_mimic::Trial;
use underlay_local::Pin;

use crate::{
    application::{HIDDEN, Start},
    config::Config,
    database::Server,
    folder::Folder,
    servers::{AS_NOBODY, Need, trial},
    text,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("errors::explicit_port_in_use", &[], explicit_port_in_use),
        trial(
            "errors::default_port_in_use",
            &[Need::Native],
            default_port_in_use,
        ),
        trial("errors::not_an_address", &[], not_an_address),
        trial("errors::docker_is_not_running", &[], docker_is_not_running),
        trial(
            "errors::nobody_behind_the_socket",
            &[],
            nobody_behind_the_socket,
        ),
        trial(
            "errors::no_permission_on_the_socket",
            &[Need::OtherUser],
            no_permission_on_the_socket,
        ),
        trial("errors::image_missing", &[Need::Docker], image_missing),
        trial(
            "errors::secrets_not_set_locally",
            &[Need::Native],
            secrets_not_set_locally,
        ),
        trial(
            "errors::secrets_not_set_configured",
            &[],
            secrets_not_set_configured,
        ),
        trial("errors::database_refuses", &[], database_refuses),
        trial("errors::url_refuses", &[], url_refuses),
        trial("errors::wrong_password", &[Need::Docker], wrong_password),
        trial(
            "errors::unknown_database",
            &[Need::Native],
            unknown_database,
        ),
        trial(
            "errors::deployment_without_config",
            &[],
            deployment_without_config,
        ),
        trial(
            "errors::mistakes_in_the_settings",
            &[],
            mistakes_in_the_settings,
        ),
    ]
}

/// The error of a start that refuses.
fn check(start: Start<'_>, expected: &Expect) {
    expected.assert_eq(&start.refusal());
}

fn explicit_port_in_use() {
    let folder = Folder::new();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let error = folder
        .shop()
        .with("UNDERLAY_LISTEN", address.to_string())
        .spawn()
        .ended();
    let us = format!("(process {})", std::process::id());
    assert!(
        error.output.contains(&us),
        "the holder is named: {}",
        error.output
    );
    let name = fs::read_to_string("/proc/self/comm").unwrap();
    let plain = error.plain.replace(name.trim(), "<name>");
    expect!["error: cannot listen on 127.0.0.1:<port> (UNDERLAY_LISTEN): port <port> is in use by `<name>` (process <pid>); stop that process, or set UNDERLAY_LISTEN to another address"].assert_eq(&plain);
    assert_eq!(error.status.code(), Some(2));

    let error = folder
        .shop()
        .without("UNDERLAY_LISTEN")
        .with("PORT", address.port().to_string())
        .refusal();
    let error = error.replace(name.trim(), "<name>");
    expect!["cannot listen on 0.0.0.0:<port> (PORT): port <port> is in use by `<name>` (process <pid>); stop that process, or set UNDERLAY_LISTEN to another address"].assert_eq(&error);
}

fn default_port_in_use() {
    let folder = Folder::new();
    // Whoever has it, it is in use then.
    let _holder = TcpListener::bind("127.0.0.1:4000");
    let shop = folder.shop().without("UNDERLAY_LISTEN").serve();
    assert!((4001..4100).contains(&shop.address().port()));
    let line = shop.line("port 4000 is in use by `");
    assert!(
        line.ends_with(&format!("); using {}", shop.address().port())),
        "{line}"
    );
}

fn not_an_address() {
    let folder = Folder::new();
    check(
        folder.shop().with("UNDERLAY_LISTEN", "4000"),
        &expect![
            "the environment variable UNDERLAY_LISTEN is `4000`; write an address and a port, such as 127.0.0.1:4000 (port 0: any free one)"
        ],
    );
    check(
        folder
            .shop()
            .without("UNDERLAY_LISTEN")
            .with("PORT", "70000"),
        &expect!["the environment variable PORT is `70000`; write a number from 0 to 65535"],
    );
    check(
        folder.shop().with("UNDERLAY_LISTEN", "203.0.113.1:0"),
        &expect![
            "cannot listen on 203.0.113.1:0 (UNDERLAY_LISTEN): this machine has no address 203.0.113.1"
        ],
    );
}

fn docker_is_not_running() {
    let folder = Folder::new();
    let command = folder.write("bin/docker", "#!/bin/sh\nexit 1\n");
    let start = folder
        .shop()
        .with("UNDERLAY_POSTGRES", "docker")
        .with("PATH", command.parent().unwrap());
    check(
        start,
        &expect![
            "postgres: docker is what the settings ask for, and it cannot be used: Docker is not running (no socket at <checkout>/nowhere); mend that, or let another way be found: remove `use` or `url` from underlay.toml and unset UNDERLAY_POSTGRES"
        ],
    );
    let start = folder
        .shop()
        .with("UNDERLAY_POSTGRES", "docker")
        .with("PATH", folder.path("empty"));
    check(
        start,
        &expect![
            "postgres: docker is what the settings ask for, and it cannot be used: Docker is not installed (no socket at <checkout>/nowhere); mend that, or let another way be found: remove `use` or `url` from underlay.toml and unset UNDERLAY_POSTGRES"
        ],
    );
}

fn nobody_behind_the_socket() {
    let folder = Folder::new();
    drop(UnixListener::bind(folder.path("docker.sock")).unwrap());
    let host = format!("unix://{}", folder.path("docker.sock").display());
    let start = folder
        .shop()
        .with("UNDERLAY_POSTGRES", "docker")
        .with("DOCKER_HOST", host);
    check(
        start,
        &expect![
            "postgres: docker is what the settings ask for, and it cannot be used: Docker is not running (nobody answers at <checkout>/docker.sock: connection refused); mend that, or let another way be found: remove `use` or `url` from underlay.toml and unset UNDERLAY_POSTGRES"
        ],
    );
}

fn no_permission_on_the_socket() {
    let folder = Folder::new();
    let socket = folder.path("docker.sock");
    let _engine = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(folder.root(), fs::Permissions::from_mode(0o777)).unwrap();
    let wrapper: Vec<&str> = std::iter::once("setpriv").chain(AS_NOBODY).collect();
    let host = format!("unix://{}", socket.display());
    let start = folder
        .shop()
        .copied()
        .wrapped(&wrapper)
        .with("DOCKER_HOST", host);
    check(
        start
            .with("UNDERLAY_POSTGRES", "docker")
            .with("HOME", "/nonexistent"),
        &expect![
            "postgres: docker is what the settings ask for, and it cannot be used: Docker's socket <checkout>/docker.sock is closed to this user (join the group docker: sudo usermod -aG docker $USER, then log in again); mend that, or let another way be found: remove `use` or `url` from underlay.toml and unset UNDERLAY_POSTGRES"
        ],
    );
}

fn image_missing() {
    let folder = Folder::new();
    // On this machine, at a port where nobody listens: no registry, whatever the network offers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let image = format!("{}/underlay-test/none:1", listener.local_addr().unwrap());
    drop(listener);
    folder.write(
        "underlay.toml",
        &format!("[postgres]\nuse = \"docker\"\nimage = \"{image}\"\n"),
    );
    // Engines word it differently.
    let error = folder.shop_with_docker().refusal();
    let error = text::cut(&error, "cannot pull it (", ")", "<the engine's reason>");
    expect!["postgres: docker is what the settings ask for, and it cannot be used: Docker has no image 127.0.0.1:<port>/underlay-test/none:1 and cannot pull it (<the engine's reason>); mend that, or let another way be found: remove `use` or `url` from underlay.toml and unset UNDERLAY_POSTGRES"].assert_eq(&error);
}

fn secrets_not_set_locally() {
    let folder = Folder::new();
    let shop = folder.shop().serve();
    let plain = shop.plain();
    let warnings: Vec<&str> = plain
        .lines()
        .filter(|line| line.starts_with("WARN"))
        .collect();
    expect![[r#"WARN not set: the secrets PaymentSigningKey; put them into .underlay/secrets.local.toml (Name = "value") or the environment"#]].assert_eq(&warnings.join("\n"));
    let id = crate::shop::place_order(&shop, "tea");
    shop.get(&format!("/orders/{id}/payment-link")).expect(500);
    shop.line("the secret `PaymentSigningKey` is not set: put ");
}

fn secrets_not_set_configured() {
    let folder = Folder::new();
    check(
        Config::new(&folder).without("secrets").start(),
        &expect![
            "infra config: secret `PaymentSigningKey` is declared at examples/shop/src/payments.rs:11:8, but no secrets.PaymentSigningKey says where it is"
        ],
    );
    // A variable that is not there is no secret either.
    let start = Config::new(&folder).start().without("PAYMENT_SIGNING_KEY");
    check(
        start,
        &expect![
            "infra config <checkout>/infra.json: secrets.PaymentSigningKey: the environment variable `PAYMENT_SIGNING_KEY` is not set"
        ],
    );
}

fn database_refuses() {
    let folder = Folder::new();
    check(
        Config::new(&folder).start(),
        &expect![
            "database `orders` on 127.0.0.1:<port>: the connection was refused; is the server running, and are host and port right?"
        ],
    );
}

fn url_refuses() {
    let folder = Folder::new();
    let url = format!("postgres://somebody:{HIDDEN}@127.0.0.1:1/x");
    check(
        folder.shop().with("UNDERLAY_POSTGRES", url),
        &expect![
            "postgres: url is what the settings ask for, and it cannot be used: 127.0.0.1:<port> as somebody (given by UNDERLAY_POSTGRES) refuses: connection refused; mend that, or let another way be found: remove `use` or `url` from underlay.toml and unset UNDERLAY_POSTGRES"
        ],
    );
}

fn wrong_password() {
    let folder = Folder::new();
    drop(folder.shop_with_docker().serve());
    let server = Server::of(&folder, Pin::Docker);
    check(
        Config::new(&folder).on(server.host()).start(),
        &expect![
            "database `orders` on 127.0.0.1:<port>: the server refused the password of the role `underlay`; correct it"
        ],
    );
}

fn unknown_database() {
    let folder = Folder::new();
    let server = Server::of(&folder, Pin::Native);
    let config = Config::new(&folder).on(server.host());
    let config = config.set(
        "/sql_servers/0/databases/orders/name",
        "no-such-database".into(),
    );
    let error = config.start().refusal().replace(server.host(), "<host>");
    expect!["database `orders` on <host>: the server has no database `no-such-database`; create it, or correct `name`"].assert_eq(&error);
}

fn deployment_without_config() {
    let folder = Folder::new();
    let start = folder.shop().with("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    check(
        start,
        &expect![
            "KUBERNETES_SERVICE_HOST is set, so this is a deployment, and nothing is provisioned there: set UNDERLAY_INFRA to the path of the infra config, or to its text"
        ],
    );
    assert!(
        !folder.path(".underlay").exists(),
        "nothing is provisioned in a deployment"
    );
}

fn mistakes_in_the_settings() {
    let folder = Folder::new();
    folder.write(
        "underlay.toml",
        "[postgres]\nuse = \"dokcer\"\nverson = \"17\"\n[corn]\n",
    );
    let error = folder
        .shop()
        .without("UNDERLAY_POSTGRES")
        .with("UNDERLAY_NAMESPACE", "Not a name")
        .refusal();
    expect![[r#"
        4 problems keep the application from starting:
        - <checkout>/underlay.toml:4: unknown key `corn`; did you mean `cron`?
        - <checkout>/underlay.toml:2: `postgres.use` must be one of `docker`, `native`, `managed`, did you mean `docker`?
        - <checkout>/underlay.toml:3: unknown key `postgres.verson`; did you mean `version`?
        - UNDERLAY_NAMESPACE: `Not a name` is not a namespace's name; use 1 to 40 lower-case letters, digits and single hyphens, starting with a letter"#]].assert_eq(&text::masked(&error, "line ", "<line>"));
}
