//! `#[underlay::seed]` on `async fn seed() -> Result<(), E>`.
//!
//! The model does not know of seeds: they are of no matter to a deployment.

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Errors;
use crate::expansion::{Expansion, Registration};
use crate::fragment::Holes;
use crate::handler::Handler;

const EXAMPLE: &str = "async fn seed() -> underlay::Result<()>";

pub(crate) fn attribute(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let handler = match Handler::parse("seed", EXAMPLE, item, &mut errors) {
        Ok(handler) => handler,
        Err(as_written) => return as_written,
    };
    if !options.is_empty() {
        errors.push(&options, "`#[seed]` has no options; remove them");
    }
    validate(&handler, &mut errors);
    expand(&handler, &errors)
}

fn validate(handler: &Handler, errors: &mut Errors) {
    handler.require_output("seed", errors);
    if let Some(first) = handler.arguments().first() {
        errors.push(
            first,
            format!("a `#[seed]` function takes no parameters: `{EXAMPLE}`"),
        );
    }
}

fn expand(handler: &Handler, errors: &Errors) -> TokenStream {
    let ident = handler.ident();
    let function = &handler.function;
    let name = ident.to_string();
    let (block, registration) = match handler.output() {
        Some(output) if errors.is_empty() => {
            let block = handler.run_without_arguments(output);
            let registration = Registration {
                declaration: None,
                holes: Holes::default(),
                item: quote! {
                    Seed(
                        ::underlay::__private::core::concat!(
                            ::underlay::__private::core::module_path!(), "::", #name
                        ),
                        __run,
                    )
                },
            };
            (block, Some(registration))
        }
        _ => (TokenStream::new(), None),
    };
    Expansion {
        attribute: "seed",
        keyword: "fn",
        ident,
        attrs: &function.attrs,
        items: quote!(#function),
        fallback: handler.fallback_without_arguments(),
        block,
        registration,
    }
    .into_tokens(errors)
}
