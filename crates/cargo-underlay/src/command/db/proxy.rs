//! `cargo underlay db proxy`: a port of this machine that leads to a database, for programs that know no sockets.
//!
//! Bytes go through as they are; TLS, where the server wants it, is between the client and the server.

use std::{io, net::Ipv4Addr, process::ExitCode, sync::Arc};

use serde_json::json;
use sqlx::postgres::PgSslMode;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};

use crate::{
    access::{Access, PATIENCE},
    command::db::source,
    environment::{Environment, Place, Role, cannot},
    failure::{Failure, os_text},
    output::Output,
    session::block_on,
    signal::Signals,
};

/// How many clients are served at a time; others wait to be accepted.
const CLIENTS: usize = 100;

/// Forward a port of this machine to the server of a database, until Ctrl-C.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The database; may be left away where one is declared.
    name: Option<String>,
    /// The port to listen on; absent: a free one.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 0,
        hide_default_value = true
    )]
    port: u16,
    #[command(flatten)]
    place: Place,
}

pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<ExitCode, Failure> {
    let (workspace, databases) = source(&arguments.place, output)?;
    let declared = databases.one(arguments.name.as_deref())?;
    block_on(async {
        let environment = Environment::open(&arguments.place, &workspace, &databases).await?;
        let access = environment.access(declared, Role::Service)?;
        let action = format!("listen on 127.0.0.1:{}", arguments.port);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port))
            .await
            .map_err(|error| cannot(&action, &error))?;
        let port = listener
            .local_addr()
            .map_err(|error| cannot(&action, &error))?
            .port();
        let mut signals = Signals::receive().map_err(|error| cannot("wait for Ctrl-C", &error))?;
        // The certificate is for the server's name, not for this machine's.
        let mode = match access.options.get_ssl_mode() {
            PgSslMode::Disable => "disable",
            _ => "require",
        };
        let uri = access.uri_at("127.0.0.1", port, mode);
        if access.password.expose().is_empty() {
            output.note(
                "the server asks for no password, since only you can reach its socket; as long as this runs, every user of \
                 this machine can reach it",
            );
        }
        if output.is_json() {
            output.document(&json!({ "database": declared.name, "port": port, "uri": uri }));
        }
        output.line(&uri);
        let upstream = Arc::new(Upstream::of(&access));
        tokio::select! {
            error = serve(&listener, &upstream, output) => Err(cannot("accept a client", &error)),
            _ = signals.next() => Ok(ExitCode::SUCCESS),
        }
    })
}

/// Serves clients until none can be accepted; who is connected when it is dropped is cut off.
async fn serve(listener: &TcpListener, upstream: &Arc<Upstream>, output: &Output) -> io::Error {
    let places = Arc::new(Semaphore::new(CLIENTS));
    let mut clients = JoinSet::new();
    loop {
        let place = Arc::clone(&places);
        let accepted = async {
            let place = place.acquire_owned().await;
            (listener.accept().await, place)
        };
        tokio::select! {
            (accepted, place) = accepted => match accepted {
                Ok((client, _)) => {
                    let upstream = Arc::clone(upstream);
                    clients.spawn(async move {
                        let result = upstream.forward(client).await;
                        drop(place);
                        result
                    });
                }
                // Such as too many open files: another client has to end first.
                Err(error) => match clients.join_next().await {
                    None => return error,
                    Some(Ok(Err(why))) => output.note(&why),
                    Some(_) => {}
                },
            },
            Some(ended) = clients.join_next() => {
                if let Ok(Err(why)) = ended {
                    output.note(&why);
                }
            }
        }
    }
}

/// Where the server listens.
enum Upstream {
    Tcp(String, u16),
    #[cfg(unix)]
    Socket(std::path::PathBuf),
}

impl Upstream {
    fn of(access: &Access) -> Self {
        let options = &access.options;
        #[cfg(unix)]
        if let Some(folder) = options.get_socket() {
            return Self::Socket(folder.join(format!(".s.PGSQL.{}", options.get_port())));
        }
        Self::Tcp(options.get_host().to_owned(), options.get_port())
    }

    /// Carries bytes between a client and the server until one of them ends.
    async fn forward(&self, mut client: TcpStream) -> Result<(), String> {
        let unreachable = |error: io::Error| {
            let server = match self {
                Self::Tcp(host, port) => format!("{host}:{port}"),
                #[cfg(unix)]
                Self::Socket(path) => path.display().to_string(),
            };
            format!(
                "the server at {server} cannot be reached: {}",
                os_text(&error)
            )
        };
        match self {
            Self::Tcp(host, port) => {
                let server = TcpStream::connect((host.as_str(), *port));
                let server = timeout(PATIENCE, server).await;
                let mut server = server
                    .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
                    .map_err(unreachable)?;
                // That one of them goes without a goodbye is its own business.
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
            #[cfg(unix)]
            Self::Socket(path) => {
                let server = tokio::net::UnixStream::connect(path).await;
                let mut server = server.map_err(unreachable)?;
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        }
        Ok(())
    }
}
