//! The Docker rung, with the engine of this machine and its image `postgres:17`.

use std::{fs, net::TcpListener, os::unix::net::UnixStream, sync::atomic::Ordering};

use libtest_mimic::Trial;

use crate::application::{Folder, Start, output};

pub(crate) fn trials() -> Vec<Trial> {
    crate::suite(
        "docker",
        absent(),
        &[
            (
                "first_start_reuse_and_restart_keep_data",
                first_start_reuse_and_restart_keep_data,
            ),
            (
                "a_warm_start_does_not_ask_docker",
                a_warm_start_does_not_ask_docker,
            ),
            (
                "two_starters_at_once_share_one_container",
                two_starters_at_once_share_one_container,
            ),
            (
                "a_killed_application_leaves_its_container",
                a_killed_application_leaves_its_container,
            ),
            (
                "a_test_container_is_in_memory",
                a_test_container_is_in_memory,
            ),
            (
                "another_major_version_is_refused",
                another_major_version_is_refused,
            ),
            (
                "a_missing_image_without_registry_is_said",
                a_missing_image_without_registry_is_said,
            ),
            (
                "a_port_can_be_pinned_and_its_clash_is_said",
                a_port_can_be_pinned_and_its_clash_is_said,
            ),
            (
                "a_lost_state_folder_is_mended",
                a_lost_state_folder_is_mended,
            ),
            (
                "a_volume_outlives_another_rung",
                a_volume_outlives_another_rung,
            ),
            (
                "two_checkouts_have_two_containers",
                two_checkouts_have_two_containers,
            ),
        ],
    )
}

pub(crate) fn absent() -> Option<String> {
    match UnixStream::connect("/var/run/docker.sock") {
        Err(error) => Some(format!("no Docker at /var/run/docker.sock: {error}")),
        Ok(_) if output("docker", &["images", "--quiet", "postgres:17"]).is_empty() => {
            Some("no image postgres:17".to_owned())
        }
        Ok(_) => None,
    }
}

pub(crate) fn start(folder: &Folder) -> Start<'_> {
    folder.uses_docker.store(true, Ordering::Relaxed);
    folder.application().with("UNDERLAY_POSTGRES", "docker")
}

fn container(folder: &Folder) -> String {
    format!(
        "underlay-{}-{}-default",
        folder.checkout.name(),
        folder.checkout.id
    )
}

fn inspect(container: &str, format: &str) -> String {
    output("docker", &["inspect", "--format", format, container])
        .trim()
        .to_owned()
}

fn first_start_reuse_and_restart_keep_data() {
    let folder = Folder::new();
    let mut up = start(&folder).provision();
    assert!(
        up.line().starts_with("postgres: docker 17."),
        "{}",
        up.line()
    );
    assert!(up.line().ends_with(" (postgres:17)"), "{}", up.line());
    assert!(up.host().starts_with("127.0.0.1:"), "{}", up.host());
    up.query("orders", "CREATE TABLE t (x text)");
    up.query("orders", "INSERT INTO t VALUES ('kept')");
    let rounds = up.query(
        "postgres",
        "SELECT split_part(split_part(rolpassword, '$', 2), ':', 1) FROM pg_authid WHERE rolname = 'underlay'",
    );
    assert_eq!(rounds, ["1"]);
    drop(up);
    let name = container(&folder);
    let id = inspect(&name, "{{.Id}}");
    assert_eq!(
        inspect(&name, "{{index .Config.Labels \"dev.underlay.namespace\"}}"),
        "default"
    );
    assert_eq!(
        inspect(&name, "{{index .Config.Labels \"dev.underlay.kind\"}}"),
        "run"
    );
    assert_eq!(
        inspect(&name, "{{index .Config.Labels \"dev.underlay.app\"}}"),
        "shop"
    );
    assert_eq!(
        start(&folder)
            .provision()
            .query("orders", "SELECT x FROM t"),
        ["kept"]
    );
    output("docker", &["stop", &name]);
    assert_eq!(
        start(&folder)
            .provision()
            .query("orders", "SELECT x FROM t"),
        ["kept"]
    );
    assert_eq!(inspect(&name, "{{.Id}}"), id);
    output("docker", &["rm", "--force", &name]);
    assert_eq!(
        start(&folder)
            .provision()
            .query("orders", "SELECT x FROM t"),
        ["kept"]
    );
}

fn a_warm_start_does_not_ask_docker() {
    let folder = Folder::new();
    drop(start(&folder).provision());
    // Whoever asked would hear that there is none.
    let mut up = start(&folder)
        .with("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        .provision();
    assert_eq!(up.query("orders", "SELECT 'warm'"), ["warm"]);
}

fn two_starters_at_once_share_one_container() {
    let folder = Folder::new();
    let starting: Vec<_> = (0..3).map(|_| start(&folder).spawn()).collect();
    let up: Vec<_> = starting.into_iter().map(|it| it.provisioned()).collect();
    assert!(up.iter().all(|it| it.host() == up[0].host()));
}

fn a_killed_application_leaves_its_container() {
    let folder = Folder::new();
    start(&folder).provision().kill();
    assert_eq!(inspect(&container(&folder), "{{.State.Running}}"), "true");
}

fn a_test_container_is_in_memory() {
    let folder = Folder::new();
    let mut up = start(&folder).test().provision();
    assert_eq!(up.query("postgres", "SHOW fsync"), ["off"]);
    assert_eq!(up.query("postgres", "SHOW full_page_writes"), ["off"]);
    let name = format!("{}-test", container(&folder));
    assert!(inspect(&name, "{{.HostConfig.Tmpfs}}").contains("/var/lib/postgresql/data"));
}

fn another_major_version_is_refused() {
    let folder = Folder::new();
    drop(start(&folder).provision());
    fs::write(
        folder.checkout.root.join("underlay.toml"),
        "[postgres]\nversion = \"15\"\n",
    )
    .unwrap();
    let error = start(&folder).refusal();
    let name = container(&folder);
    assert_eq!(
        error,
        format!(
            "the data of namespace `default` (volume {name}) belongs to PostgreSQL 17, and the image holds PostgreSQL \
             15; set `version = \"17\"` under [postgres] in underlay.toml, or start afresh: cargo underlay reset"
        )
    );
    assert_eq!(
        inspect(&name, "{{.State.Running}}"),
        "true",
        "a refusal changes nothing"
    );
}

fn a_missing_image_without_registry_is_said() {
    let folder = Folder::new();
    // A port where nobody listens, on this machine: no registry, whatever the network offers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let image = format!("{}/absent:17", listener.local_addr().unwrap());
    drop(listener);
    fs::write(
        folder.checkout.root.join("underlay.toml"),
        format!("[postgres]\nimage = \"{image}\"\n"),
    )
    .unwrap();
    let error = start(&folder).refusal();
    let expected = format!(
        "postgres: docker is what the settings ask for, and it cannot be used: Docker has no image {image} and cannot \
         pull it ("
    );
    assert!(error.starts_with(&expected), "{error}");
    assert!(!error.contains('\n'), "{error}");
}

fn a_port_can_be_pinned_and_its_clash_is_said() {
    let folder = Folder::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    fs::write(
        folder.checkout.root.join("underlay.toml"),
        format!("[postgres]\nport = {port}\n"),
    )
    .unwrap();
    let error = start(&folder).refusal();
    assert_eq!(
        error,
        format!(
            "port {port}, which underlay.toml gives to PostgreSQL, is taken; change `port` under [postgres] or remove \
             it, then any free one is used"
        )
    );
    drop(listener);
    let up = start(&folder).provision();
    assert_eq!(up.host(), format!("127.0.0.1:{port}"));
}

fn a_lost_state_folder_is_mended() {
    let folder = Folder::new();
    start(&folder)
        .provision()
        .query("orders", "CREATE TABLE t (x text)");
    fs::remove_dir_all(&folder.checkout.state).unwrap();
    let mut up = start(&folder).provision();
    assert_eq!(up.query("orders", "SELECT count(*)::text FROM t"), ["0"]);
}

fn a_volume_outlives_another_rung() {
    let folder = Folder::new();
    start(&folder)
        .provision()
        .query("orders", "CREATE TABLE t (x text)");
    output("docker", &["rm", "--force", &container(&folder)]);
    // Whatever another rung remembers of its own server, the volume's password is not forgotten for it.
    fs::remove_file(folder.state("default/postgres.json")).unwrap();
    assert_eq!(
        start(&folder)
            .provision()
            .query("orders", "SELECT count(*)::text FROM t"),
        ["0"]
    );
}

fn two_checkouts_have_two_containers() {
    let (here, there) = (Folder::new(), Folder::new());
    let (one, two) = (start(&here).provision(), start(&there).provision());
    assert_ne!(one.host(), two.host());
}
