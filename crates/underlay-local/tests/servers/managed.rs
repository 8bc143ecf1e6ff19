//! The managed rung, against a mirror that the test serves: an archive of this machine's own binaries in the
//! publisher's layout, over HTTP and from a folder.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use libtest_mimic::Trial;

use crate::{
    application::{Folder, Start, WAY_OUT, eventually, output},
    native,
};

/// The release that the provisioner asks for when nobody says.
const RELEASE: &str = "17.11.0";

pub(crate) fn trials() -> Vec<Trial> {
    crate::suite(
        "managed",
        absent(),
        &[
            (
                "downloaded_once_then_without_network",
                downloaded_once_then_without_network,
            ),
            ("a_folder_can_be_the_mirror", a_folder_can_be_the_mirror),
            (
                "data_of_another_version_is_refused",
                data_of_another_version_is_refused,
            ),
            ("two_downloaders_at_once", two_downloaders_at_once),
            (
                "a_wrong_checksum_installs_nothing",
                a_wrong_checksum_installs_nothing,
            ),
            (
                "a_mirror_without_the_release_is_said",
                a_mirror_without_the_release_is_said,
            ),
            ("no_network_is_said", no_network_is_said),
            ("without_curl_it_is_said", without_curl_it_is_said),
        ],
    )
}

pub(crate) fn absent() -> Option<String> {
    if native::installed().is_none() {
        return Some(
            "no PostgreSQL server binaries under /usr/lib/postgresql to fill a mirror with"
                .to_owned(),
        );
    }
    ["curl", "tar"]
        .iter()
        .find(|it| program(it).is_none())
        .map(|it| format!("no {it}"))
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

fn archive_name() -> String {
    format!(
        "postgresql-{RELEASE}-{}-unknown-linux-gnu",
        std::env::consts::ARCH
    )
}

/// A folder as the publisher's releases are laid out.
pub(crate) fn mirror(folder: &Folder) -> PathBuf {
    let mirror = folder.checkout.root.join("mirror");
    let release = mirror.join(RELEASE);
    let top = folder.checkout.root.join("content").join(archive_name());
    fs::create_dir_all(&top).unwrap();
    fs::create_dir_all(&release).unwrap();
    let bin = native::installed().unwrap();
    let version = bin.parent().unwrap().file_name().unwrap().to_owned();
    for (name, from) in [
        ("bin", bin.clone()),
        ("lib", bin.with_file_name("lib")),
        ("share", Path::new("/usr/share/postgresql").join(version)),
    ] {
        symlink(from, top.join(name)).unwrap();
    }
    let archive = release.join(format!("{}.tar.gz", archive_name()));
    let status = Command::new("tar")
        .arg("--dereference")
        .arg("--exclude=*bitcode*")
        .arg("--exclude=*llvmjit*")
        .arg("--use-compress-program=gzip -1")
        .arg("-cf")
        .arg(&archive)
        .arg("-C")
        .arg(top.parent().unwrap())
        .arg(archive_name())
        .status()
        .unwrap();
    assert!(status.success());
    let sum = output("sha256sum", &[archive.to_str().unwrap()]);
    let sum = sum.split_whitespace().next().unwrap();
    fs::write(
        release.join(format!("{}.tar.gz.sha256", archive_name())),
        format!("{sum}  {}.tar.gz\n", archive_name()),
    )
    .unwrap();
    mirror
}

/// Serves a folder over HTTP for as long as the test program runs; gives the address.
pub(crate) fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            reader.read_line(&mut line).unwrap();
            let mut header = String::new();
            while reader.read_line(&mut header).unwrap() > 2 {
                header.clear();
            }
            let path = line
                .split_whitespace()
                .nth(1)
                .unwrap()
                .trim_start_matches('/')
                .to_owned();
            let answer = match fs::read(folder.join(path)) {
                Ok(body) => {
                    let mut answer =
                        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())
                            .into_bytes();
                    answer.extend(body);
                    answer
                }
                Err(_) => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
            };
            // A client that has gone away is none of the server's business.
            let _ = stream.write_all(&answer);
        }
    });
    format!("http://{address}")
}

fn start<'a>(folder: &'a Folder, mirror: &str) -> Start<'a> {
    folder
        .application()
        .with("UNDERLAY_POSTGRES", "managed")
        .with("UNDERLAY_CACHE", cache(folder).to_str().unwrap())
        .with("UNDERLAY_POSTGRES_URL", mirror)
}

fn cache(folder: &Folder) -> PathBuf {
    folder.checkout.root.join("cache")
}

/// What is in the cache, without the locks.
fn cached(folder: &Folder) -> Vec<String> {
    let Ok(entries) = fs::read_dir(cache(folder).join("postgres")) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.ends_with(".lock")).collect()
}

fn downloaded_once_then_without_network() {
    let folder = Folder::new();
    let address = serve(mirror(&folder));
    let mut up = start(&folder, &address).provision();
    assert!(
        up.line().starts_with("postgres: managed 1"),
        "{}",
        up.line()
    );
    assert!(
        up.line().contains(cache(&folder).to_str().unwrap()),
        "{}",
        up.line()
    );
    up.query("orders", "CREATE TABLE t (x text)");
    drop(up);
    assert_eq!(cached(&folder), [archive_name().replace("postgresql-", "")]);
    // A mirror that does not exist shows that nothing is downloaded any more.
    let mut up = start(&folder, "file:///nonexistent").provision();
    assert_eq!(up.query("orders", "SELECT count(*)::text FROM t"), ["0"]);
}

fn a_folder_can_be_the_mirror() {
    let folder = Folder::new();
    let mirror = mirror(&folder);
    // Not pinned, but with nothing above: the line says why it came to this.
    let up = folder
        .application()
        .with("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        .with("UNDERLAY_POSTGRES_BIN", "/nonexistent/bin")
        .with("UNDERLAY_CACHE", cache(&folder).to_str().unwrap())
        .with(
            "UNDERLAY_POSTGRES_URL",
            format!("file://{}", mirror.display()),
        )
        .provision();
    assert!(
        up.line().starts_with("postgres: managed 1"),
        "{}",
        up.line()
    );
    assert!(
        up.line().contains(", because Docker is not "),
        "{}",
        up.line()
    );
    assert!(up.line().ends_with(
        ", and UNDERLAY_POSTGRES_BIN (/nonexistent/bin) cannot be used: it has no `postgres`"
    ));
}

fn data_of_another_version_is_refused() {
    let folder = Folder::new();
    let address = serve(mirror(&folder));
    let mut up = start(&folder, &address).provision();
    let query = "SELECT current_setting('data_directory')";
    let data = PathBuf::from(up.query("postgres", query).remove(0));
    drop(up);
    eventually("the server ends", || !data.join("postmaster.pid").exists());
    fs::write(data.join("PG_VERSION"), "12\n").unwrap();
    let error = start(&folder, &address).refusal();
    assert!(error.contains("was created by PostgreSQL 12"), "{error}");
    assert!(
        error.ends_with(
            "; set `version = \"12\"` under [postgres] in underlay.toml, or start afresh: cargo underlay reset"
        ),
        "{error}"
    );
}

fn two_downloaders_at_once() {
    let (here, there) = (Folder::new(), Folder::new());
    let address = serve(mirror(&here));
    let cache = cache(&here);
    let starting: Vec<_> = [&here, &there]
        .map(|it| {
            start(it, &address)
                .with("UNDERLAY_CACHE", cache.to_str().unwrap())
                .spawn()
        })
        .into();
    for running in starting {
        assert!(
            running
                .provisioned()
                .line()
                .starts_with("postgres: managed 1")
        );
    }
    assert_eq!(cached(&here), [archive_name().replace("postgresql-", "")]);
}

fn a_wrong_checksum_installs_nothing() {
    let folder = Folder::new();
    let mirror = mirror(&folder);
    let sum = mirror
        .join(RELEASE)
        .join(format!("{}.tar.gz.sha256", archive_name()));
    let actual = fs::read_to_string(&sum)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
    let wrong = "0".repeat(64);
    fs::write(&sum, format!("{wrong}  {}.tar.gz\n", archive_name())).unwrap();
    let address = serve(mirror);
    let error = start(&folder, &address).refusal();
    let expected = format!(
        "{address}/{RELEASE}/{}.tar.gz has the SHA-256 {actual}, and its publisher says {wrong}; nothing was installed",
        archive_name()
    );
    assert!(error.contains(&expected), "{error}");
    assert!(cached(&folder).is_empty(), "{:?}", cached(&folder));
}

fn a_mirror_without_the_release_is_said() {
    let folder = Folder::new();
    let address = serve(folder.checkout.root.join("empty"));
    let error = start(&folder, &address).refusal();
    let expected = format!(
        "cannot download {address}/{RELEASE}/{}.tar.gz.sha256: ",
        archive_name()
    );
    assert!(error.contains(&expected), "{error}");
    assert!(error.contains("404"), "{error}");
    assert!(cached(&folder).is_empty(), "{:?}", cached(&folder));
}

fn no_network_is_said() {
    let folder = Folder::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://user:hidden@{}", listener.local_addr().unwrap());
    drop(listener);
    let error = start(&folder, &address).refusal();
    assert!(
        error.ends_with(&format!(
            "; is there a network? a mirror can be given with UNDERLAY_POSTGRES_URL{WAY_OUT}"
        )),
        "{error}"
    );
    assert!(!error.contains("hidden"), "{error}");
}

fn without_curl_it_is_said() {
    let folder = Folder::new();
    let empty = folder.checkout.root.join("path");
    fs::create_dir_all(&empty).unwrap();
    for name in ["id", "sh"] {
        symlink(program(name).unwrap(), empty.join(name)).unwrap();
    }
    let error = start(&folder, "file:///nonexistent")
        .with("PATH", empty.to_str().unwrap())
        .refusal();
    assert!(
        error.ends_with(&format!(
            "`curl` is not installed, and it is needed to download PostgreSQL; install curl{WAY_OUT}"
        )
        ),
        "{error}"
    );
}
