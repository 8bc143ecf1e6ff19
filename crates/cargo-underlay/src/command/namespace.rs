//! `cargo underlay namespace`: separate sets of local data in one checkout.

use std::process::ExitCode;

use serde_json::json;
use underlay_local::{delete_namespace, namespace};

use crate::{
    arguments::CheckoutArguments, command::down, confirm::confirm, failure::Failure,
    output::Output, session::block_on,
};

/// List, create, switch and delete infrastructure namespaces: separate sets of local data in one checkout.
#[derive(clap::Args)]
#[command(visible_alias = "ns")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// List the namespaces; `*` marks the active one.
    List {
        #[command(flatten)]
        checkout: CheckoutArguments,
    },
    /// Create a namespace.
    Create {
        /// Its name.
        name: String,
        #[command(flatten)]
        checkout: CheckoutArguments,
    },
    /// Make a namespace the active one of this checkout.
    Switch {
        /// Its name.
        name: String,
        #[command(flatten)]
        checkout: CheckoutArguments,
    },
    /// Take a namespace away, with all its data.
    Delete {
        /// Its name.
        name: String,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
        #[command(flatten)]
        checkout: CheckoutArguments,
    },
}

pub(crate) fn run(arguments: Arguments, output: &Output) -> Result<ExitCode, Failure> {
    match arguments.action {
        Action::List { checkout } => {
            let checkout = checkout.find()?;
            let active = namespace::active(&checkout, None)?;
            let names = namespace::list(&checkout)?;
            if output.is_json() {
                output.document(&json!({ "active": active, "namespaces": names }));
            }
            for name in &names {
                let mark = if *name == active { '*' } else { ' ' };
                output.line(format_args!("{mark} {name}"));
            }
            if !names.contains(&active) {
                output.line(format_args!("* {active} (created when it is first used)"));
            }
        }
        Action::Create { name, checkout } => {
            namespace::create(&checkout.find()?, &name)?;
            tell(output, "created", &name);
        }
        Action::Switch { name, checkout } => {
            namespace::switch(&checkout.find()?, &name)?;
            tell(output, "switched", &name);
        }
        Action::Delete {
            name,
            yes,
            checkout,
        } => {
            let checkout = checkout.find()?;
            let root = checkout.root.display();
            confirm(
                &format!("The namespace `{name}` of {root} and all its data will be lost: go on?"),
                yes,
            )?;
            let removed = block_on(async { Ok(delete_namespace(&checkout, &name).await?) })?;
            down::tell(&removed, "there was nothing", output);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(output: &Output, what: &str, name: &str) {
    if output.is_json() {
        output.document(&json!({ "namespace": name, what: true }));
    }
    output.line(format_args!("{what} {name}"));
}
