//! A mirror of PostgreSQL's server binaries, served on this machine: this machine's own binaries in the layout of the
//! publisher.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use crate::{folder::Folder, servers};

/// The release that the provisioner asks for when nobody says.
const RELEASE: &str = "17.11.0";

/// Lays a mirror out in a checkout and serves it for as long as the test program runs; gives its URL.
pub(crate) fn serve(folder: &Folder) -> String {
    let root = lay_out(folder);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let request = lines.next().unwrap().unwrap();
            let path = request
                .split_whitespace()
                .nth(1)
                .unwrap()
                .trim_start_matches('/')
                .to_owned();
            // The headers end with an empty line.
            lines.find(|line| line.as_ref().is_ok_and(String::is_empty));
            let (status, body) = match fs::read(root.join(path)) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            // A client that has gone away is none of the server's business.
            let _ = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(&body));
        }
    });
    url
}

fn lay_out(folder: &Folder) -> PathBuf {
    let name = format!(
        "postgresql-{RELEASE}-{}-unknown-linux-gnu",
        std::env::consts::ARCH
    );
    let (mirror, content) = (folder.path("mirror"), folder.path("content"));
    let release = mirror.join(RELEASE);
    fs::create_dir_all(&release).unwrap();
    fs::create_dir_all(content.join(&name)).unwrap();
    let bin = servers::installed().unwrap();
    let version = bin.parent().unwrap().file_name().unwrap();
    let share = Path::new("/usr/share/postgresql").join(version);
    for (name_within, from) in [
        ("bin", bin.clone()),
        ("lib", bin.with_file_name("lib")),
        ("share", share),
    ] {
        symlink(from, content.join(&name).join(name_within)).unwrap();
    }
    let archive = release.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args([
        "--dereference",
        "--exclude=*bitcode*",
        "--exclude=*llvmjit*",
        "--use-compress-program=gzip -1",
        "-cf",
    ]);
    assert!(
        tar.arg(&archive)
            .arg("-C")
            .arg(content)
            .arg(&name)
            .status()
            .unwrap()
            .success()
    );
    let sum = Command::new("sha256sum")
        .arg(&archive)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    fs::write(release.join(format!("{name}.tar.gz.sha256")), sum.stdout).unwrap();
    mirror
}
