//! `#[cron]` on `async fn job() -> Result<(), E>`.

use proc_macro2::TokenStream;
use quote::quote;
use underlay_model::model::Cron;
use underlay_model::schedule::Schedule;
use underlay_model::{Declaration, cron_expression, name};

use crate::errors::Errors;
use crate::expansion::{Expansion, Registration};
use crate::fragment::{Holes, plain};
use crate::handler::Handler;
use crate::options::{Grammar, Options};
use crate::source::source;

const EXAMPLE: &str = "async fn job() -> underlay::Result<()>";

static GRAMMAR: Grammar = Grammar {
    attribute: "cron",
    target: "",
    example: "",
    name: true,
    keys: &["title", "every", "schedule"],
};

struct Args {
    name: String,
    title: String,
    /// As the model writes it.
    schedule: String,
}

pub(crate) fn attribute(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let handler = match Handler::parse("cron", EXAMPLE, item, &mut errors) {
        Ok(handler) => handler,
        Err(as_written) => return as_written,
    };
    if cfg!(not(feature = "cron")) {
        errors.push_span(
            proc_macro2::Span::call_site(),
            "`#[cron]` needs the feature `cron` of underlay: underlay = { features = [\"cron\"] }",
        );
    }
    let args = parse(&handler, options, &mut errors);
    validate(&handler, &mut errors);
    expand(&handler, &args, &errors)
}

fn parse(handler: &Handler, options: TokenStream, errors: &mut Errors) -> Args {
    let options = Options::parse(&GRAMMAR, options, errors);
    let name = options.checked_name(
        handler.ident(),
        handler.kebab_name(),
        name::check_kebab,
        errors,
    );
    let title = options
        .text("title", "Clean up expired sessions", errors)
        .map(|it| plain(&it.value()));
    Args {
        title: title.unwrap_or_else(|| name.clone()),
        name,
        schedule: schedule(&options, errors).unwrap_or_default(),
    }
}

fn schedule(options: &Options, errors: &mut Errors) -> Option<String> {
    let every = options.text("every", "1h", errors);
    let schedule = options.text("schedule", "0 9 * * 1", errors);
    match (options.key("every"), options.key("schedule")) {
        (Some(_), Some(second)) => {
            errors.push(second, "a cron has either `every` or `schedule`, not both");
            None
        }
        // The one that was meant may be misspelt, which is told already.
        (None, None) if options.has_unknown => None,
        (None, None) => {
            errors.push_span(
                options
                    .name
                    .as_ref()
                    .map_or_else(proc_macro2::Span::call_site, |it| it.span()),
                "when does it run? add `every = \"1h\"` or `schedule = \"0 9 * * 1\"`",
            );
            None
        }
        _ => {
            let (text, parsed) = match (every, schedule) {
                (Some(text), _) => (
                    text.clone(),
                    Schedule::every(&text.value()).map(|it| it.to_string()),
                ),
                (_, Some(text)) => {
                    // Judged by our own rule: `croner` would be compiled a second time, for the host.
                    let schedule = text
                        .value()
                        .split_whitespace()
                        .collect::<Vec<_>>()
                        .join(" ");
                    let checked =
                        cron_expression::check(&schedule).map(|()| format!("schedule:{schedule}"));
                    (text, checked)
                }
                (None, None) => return None,
            };
            parsed.map_err(|problem| errors.push(&text, problem)).ok()
        }
    }
}

fn validate(handler: &Handler, errors: &mut Errors) {
    handler.require_output("cron", errors);
    if let Some(first) = handler.arguments().first() {
        errors.push(
            first,
            format!("a `#[cron]` handler takes no parameters: `{EXAMPLE}`"),
        );
    }
}

fn expand(handler: &Handler, args: &Args, errors: &Errors) -> TokenStream {
    let Args {
        name,
        title,
        schedule,
    } = args;
    let ident = handler.ident();
    let function = &handler.function;
    let attrs = &function.attrs;
    let items = quote!(#function);
    let (block, registration) = match handler.output() {
        Some(output) if errors.is_empty() => {
            let block = handler.run_without_arguments(output);
            let mut holes = Holes::default();
            let module = holes.module();
            let declaration = Declaration::Cron(Cron {
                name: name.clone(),
                title: title.clone(),
                schedule: schedule.clone(),
                handler: format!("{module}::{ident}"),
                service: String::new(),
                doc: handler.doc(),
                source: source(ident.span(), module),
            });
            (
                block,
                Some(Registration {
                    declaration: Some(declaration),
                    holes,
                    item: quote!(Cron(__run)),
                }),
            )
        }
        _ => (TokenStream::new(), None),
    };
    Expansion {
        attribute: "cron",
        keyword: "fn",
        ident,
        attrs,
        items,
        fallback: handler.fallback_without_arguments(),
        block,
        registration,
    }
    .into_tokens(errors)
}
