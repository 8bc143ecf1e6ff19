//! The provisioner: gets everything running on this machine that a model declares, and says where in an infra config.
//!
//! It knows the model and the infra config and nothing of what binds to them. It prints nothing: a [`Reporter`] takes
//! what there is to tell.
//!
//! # What lies where
//!
//! In the checkout, under `.underlay/` (which ignores itself for git):
//!
//! | Path | What |
//! |---|---|
//! | `namespace` | the name of the active namespace |
//! | `secrets.local.toml` | the values of secrets, mode 600 |
//! | `<namespace>/postgres.json`, `postgres-test.json` | how the last server was got and is reached, with its password, mode 600 |
//! | `<namespace>/postgres.password`, `postgres-test.password` | the password of its containers, mode 600 |
//! | `<namespace>/postgres-url.password` | what the passwords of our roles on a server of the user's come from, mode 600 |
//! | `<namespace>/postgres/` | the native server's cluster |
//! | `<namespace>/postgres.log`, `postgres-test.log` | the log of the native server's last start |
//! | `<namespace>/postgres.lock`, `postgres-test.lock` | held by the process that is just starting a native server |
//! | `<namespace>/use.lock` | held, shared, by every application that uses the namespace |
//! | `<namespace>/topics-<application>.redb`, `objects/` | messages and objects |
//! | `<namespace>/topics-<application>.redb.address` | where the application is reached that has the messages open; locked by it |
//!
//! Elsewhere:
//!
//! | Path | What |
//! |---|---|
//! | `<temp>/underlay-<uid>-<10 digits>/` | the native server's socket, FIFO, script and `owner.json`, per checkout, namespace and kind; gone when it ends |
//! | `/dev/shm/underlay-<uid>-<checkout>/` | test clusters; in the temporary folder where there is no room |
//! | `$UNDERLAY_CACHE`, else the user's cache folder, in `underlay/postgres/<release>-<target>/` | downloaded server binaries |
//! | `/var/tmp/underlay-0-<checkout>/` | clusters, when root may not run the server and the checkout is closed to others |

mod announcement;
#[cfg(feature = "progress")]
mod bars;
mod checkout;
mod docker;
mod doctor;
mod error;
mod lock;
mod manage;
pub mod namespace;
mod port;
mod postgres;
mod provision;
mod report;
mod secrets;
mod settings;

pub use announcement::Announcement;
#[cfg(feature = "progress")]
pub use bars::Bars;
pub use checkout::Checkout;
pub use doctor::{Check, Report, Status, doctor};
pub use error::{Error, ErrorKind, Errors};
pub use manage::{Processes, Removed, ServerStatus, delete_namespace, down, ps, reset};
pub use port::first_free_port;
pub use postgres::{PostgresUsed, Rung, TestCluster, install_postgres, recreate_databases};
pub use provision::{Admin, Kind, Options, Phase, Provisioned, provision};
pub use report::{Event, Reporter, Silent};
pub use secrets::SECRETS_FILE;
pub use settings::{Pin, PostgresSettings, Settings};
