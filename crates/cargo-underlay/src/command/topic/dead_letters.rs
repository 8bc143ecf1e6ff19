//! `cargo underlay topic dead-letters`: messages that a subscription has given up. Who knows them is the application: one
//! that runs here is asked, or else its binary is run as a job.

mod application;
mod job;
mod request;
mod view;

use std::{path::PathBuf, process::ExitCode};

use underlay_local::{Announcement, Checkout, namespace};

use self::request::{Of, Request, Which};
use crate::{
    arguments::Selection, confirm::confirm, failure::Failure, output::Output, session::block_on,
    workspace::Workspace,
};

/// Look at the messages that a subscription has given up, deliver them again, or remove them.
///
/// An application that runs on this machine is asked; where none runs, its binary is built and run as a job that only
/// connects to the brokers. With --env it is always the job, and the brokers are those of the infra config.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// List the oldest dead letters of a subscription, or how many each subscription has.
    List {
        /// The subscription; absent: the counts of all.
        #[arg(value_name = "TOPIC/SUBSCRIPTION")]
        of: Option<Of>,
        /// At most so many letters, up to 10000.
        #[arg(long, value_name = "NUMBER", default_value_t = 100, requires = "of",
              value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        #[command(flatten)]
        place: Place,
    },
    /// Print everything of one letter, with its message.
    Show {
        /// The subscription.
        #[arg(value_name = "TOPIC/SUBSCRIPTION")]
        of: Of,
        /// The letter's id, as `list` has it.
        #[arg(value_parser = request::id)]
        id: String,
        #[command(flatten)]
        place: Place,
    },
    /// Deliver letters again, to their subscription only, with attempts counted anew.
    Release(Ending),
    /// Remove letters for good.
    Discard(Ending),
}

/// Letters that end as such.
#[derive(clap::Args)]
struct Ending {
    /// The subscription.
    #[arg(value_name = "TOPIC/SUBSCRIPTION")]
    of: Of,
    /// The letter's id, as `list` has it.
    #[arg(required_unless_present = "all", value_parser = request::id)]
    id: Option<String>,
    /// Every letter that is there now.
    #[arg(long, conflicts_with = "id")]
    all: bool,
    /// Do not ask; only with --all and --env somebody is asked.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    place: Place,
}

/// Which application is meant, and where.
#[derive(clap::Args)]
struct Place {
    /// The infra config of another environment, as UNDERLAY_INFRA takes it.
    #[arg(long, value_name = "FILE", conflicts_with = "namespace")]
    env: Option<PathBuf>,
    /// The infrastructure namespace, instead of the active one.
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    #[command(flatten)]
    selection: Selection,
}

impl Ending {
    fn which(id: Option<String>) -> Which {
        id.map_or(Which::All, Which::One)
    }

    /// Asks before all letters of another environment end.
    fn confirm(&self, what: &str) -> Result<(), Failure> {
        let Some(file) = self.place.env.as_ref().filter(|_| self.all) else {
            return Ok(());
        };
        let question = format!(
            "All dead letters of `{}` in the environment of {} will be {what}: go on?",
            self.of,
            file.display()
        );
        confirm(&question, self.yes)
    }
}

pub(crate) fn run(arguments: Arguments, output: &Output) -> Result<ExitCode, Failure> {
    let (request, place) = match arguments.action {
        Action::List { of, limit, place } => match of {
            Some(of) => (Request::List { of, limit }, place),
            None => (Request::Counts, place),
        },
        Action::Show { of, id, place } => (Request::Show { of, id }, place),
        Action::Release(it) => {
            it.confirm("delivered again")?;
            let which = Ending::which(it.id);
            (Request::Release { of: it.of, which }, it.place)
        }
        Action::Discard(it) => {
            it.confirm("removed for good")?;
            let which = Ending::which(it.id);
            (Request::Discard { of: it.of, which }, it.place)
        }
    };
    let workspace = Workspace::load(&place.selection)?;
    let answer = block_on(async {
        match running(&workspace, &place)? {
            Some(address) => application::ask(address, &request).await,
            None => job::run(&workspace, &place, &request, output).await,
        }
    })?;
    if output.is_json() {
        output.document(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let view = view::text(&request, answer)?;
    output.text(&view.text);
    if let Some(note) = view.note {
        output.note(&note);
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the application listens that has the messages of this machine open.
fn running(workspace: &Workspace, place: &Place) -> Result<Option<std::net::SocketAddr>, Failure> {
    if place.env.is_some() {
        return Ok(None);
    }
    let checkout = Checkout::find(&workspace.root())?;
    let namespace = namespace::active(&checkout, place.namespace.as_deref())?;
    let binary = workspace.binary(&place.selection)?;
    // With `#[underlay::main]` it is named after its package, else after its executable.
    for name in [binary.package.name.as_str(), &binary.target.name] {
        if let Some(address) = Announcement::find(&checkout, &namespace, name)? {
            return Ok(Some(address));
        }
    }
    Ok(None)
}
