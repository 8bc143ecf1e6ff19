//! Where the server listens, and who is in the way when it cannot.

use std::io::ErrorKind as Io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use crate::Result;
use crate::config::configuration;

/// The first port that a local application tries.
const LOCAL_PORT: u16 = 4000;
/// How many ports it tries.
const LOCAL_PORTS: u16 = 100;
/// The port of a deployed application that is told none.
const DEPLOYED_PORT: u16 = 8080;

/// A socket that accepts connections.
pub(crate) struct Listener {
    pub(crate) listener: TcpListener,
    pub(crate) address: SocketAddr,
}

/// Listens where the application says; else where `UNDERLAY_LISTEN` (`host:port`) or `PORT` (on all addresses) say;
/// else on the first free port from 4000 on loopback, or on port 8080 of all addresses in a deployment.
pub(crate) async fn listen(explicit: Option<SocketAddr>, local: bool) -> Result<Listener> {
    if let Some(address) = explicit.map_or_else(from_environment, |address| {
        Ok(Some((address, "App::listen")))
    })? {
        let (address, origin) = address;
        return bind(address)
            .await
            .map_err(|error| configuration(vec![in_the_way(address, origin, &error)]));
    }
    if !local {
        let address = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), DEPLOYED_PORT);
        return bind(address)
            .await
            .map_err(|error| configuration(vec![in_the_way(address, "the default", &error)]));
    }
    let mut last = None;
    for port in LOCAL_PORT..LOCAL_PORT + LOCAL_PORTS {
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        match bind(address).await {
            Ok(listener) => {
                if port != LOCAL_PORT {
                    let holder = holder(LOCAL_PORT)
                        .map(|it| format!(" by {it}"))
                        .unwrap_or_default();
                    tracing::info!(target: "underlay", "port {LOCAL_PORT} is in use{holder}; using {port}");
                }
                return Ok(listener);
            }
            Err(error) if error.kind() == Io::AddrInUse => last = Some((address, error)),
            Err(error) => {
                return Err(configuration(vec![in_the_way(
                    address,
                    "the default",
                    &error,
                )]));
            }
        }
    }
    let problem = last.map(|(address, error)| in_the_way(address, "the last default", &error));
    Err(configuration(problem.into_iter().collect()))
}

async fn bind(address: SocketAddr) -> std::io::Result<Listener> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok(Listener { listener, address })
}

fn from_environment() -> Result<Option<(SocketAddr, &'static str)>> {
    let wrong = |name: &str, value: &str, form: &str| {
        configuration(vec![format!(
            "the environment variable {name} is `{value}`; write {form}"
        )])
    };
    if let Ok(value) = std::env::var("UNDERLAY_LISTEN") {
        let address = value.parse().map_err(|_| {
            wrong(
                "UNDERLAY_LISTEN",
                &value,
                "an address and a port, such as 127.0.0.1:4000 (port 0: any free one)",
            )
        })?;
        return Ok(Some((address, "UNDERLAY_LISTEN")));
    }
    if let Ok(value) = std::env::var("PORT") {
        let port = value
            .parse()
            .map_err(|_| wrong("PORT", &value, "a number from 0 to 65535"))?;
        return Ok(Some((
            SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port),
            "PORT",
        )));
    }
    Ok(None)
}

fn in_the_way(address: SocketAddr, origin: &str, error: &std::io::Error) -> String {
    match error.kind() {
        Io::AddrInUse => {
            let holder = holder(address.port())
                .map(|it| format!(" by {it}"))
                .unwrap_or_default();
            format!(
                "cannot listen on {address} ({origin}): port {} is in use{holder}; stop that process, or set \
                 UNDERLAY_LISTEN to another address",
                address.port()
            )
        }
        Io::PermissionDenied => format!(
            "cannot listen on {address} ({origin}): this user may not use port {}; take one above 1023",
            address.port()
        ),
        Io::AddrNotAvailable => {
            format!(
                "cannot listen on {address} ({origin}): this machine has no address {}",
                address.ip()
            )
        }
        _ => format!("cannot listen on {address} ({origin}): {error}"),
    }
}

/// The process that listens on a TCP port, where the system lets us see it.
#[cfg(target_os = "linux")]
fn holder(port: u16) -> Option<String> {
    use std::fs;

    // The columns of /proc/net/tcp: https://docs.kernel.org/networking/proc_net_tcp.html
    const LISTENING: &str = "0A";
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"]
        .map(|path| fs::read_to_string(path).unwrap_or_default());
    let inode = tables
        .iter()
        .flat_map(|table| table.lines().skip(1))
        .find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (_, hex) = fields.get(1)?.rsplit_once(':')?;
            let same =
                u16::from_str_radix(hex, 16) == Ok(port) && fields.get(3) == Some(&LISTENING);
            same.then(|| fields.get(9).map(|inode| format!("socket:[{inode}]")))
                .flatten()
        })?;
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter(|it| {
            it.file_name()
                .to_string_lossy()
                .bytes()
                .all(|byte| byte.is_ascii_digit())
        })
        .find_map(|it| {
            let mut files = fs::read_dir(it.path().join("fd")).ok()?.flatten();
            files.find(|file| {
                fs::read_link(file.path()).is_ok_and(|link| link.to_string_lossy() == inode)
            })?;
            let name = fs::read_to_string(it.path().join("comm")).ok()?;
            Some(format!(
                "`{}` (process {})",
                name.trim(),
                it.file_name().to_string_lossy()
            ))
        })
}

#[cfg(not(target_os = "linux"))]
fn holder(_port: u16) -> Option<String> {
    None
}
