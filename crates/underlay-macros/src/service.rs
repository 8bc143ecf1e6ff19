//! `underlay::service!("name");`, which names the service of a module.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::LitStr;
use underlay_model::model::Service;
use underlay_model::{Declaration, name};

use crate::errors::Errors;
use crate::expansion::{Expansion, Registration};
use crate::fragment::Holes;
use crate::source::source;

pub(crate) fn invocation(tokens: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let name = parse(tokens, &mut errors);
    expand(name.as_ref(), &errors)
}

fn parse(tokens: TokenStream, errors: &mut Errors) -> Option<LitStr> {
    if tokens.is_empty() {
        errors.push_span(
            Span::call_site(),
            "the name is missing: `underlay::service!(\"billing\");`",
        );
        return None;
    }
    match syn::parse2::<LitStr>(tokens.clone()) {
        Ok(text) => {
            if let Err(problem) = name::check_kebab(&text.value()) {
                errors.push(&text, format!("the name {problem}"));
            }
            Some(text)
        }
        Err(_) => {
            errors.push(
                tokens,
                "`service!` takes one string literal: `underlay::service!(\"billing\");`",
            );
            None
        }
    }
}

fn expand(name: Option<&LitStr>, errors: &Errors) -> TokenStream {
    let span = name.map_or_else(Span::call_site, LitStr::span);
    let registration = name.filter(|_| errors.is_empty()).map(|name| {
        let mut holes = Holes::default();
        let module = holes.module();
        let source = source(span, module.clone());
        let package = source.package.clone();
        let declaration = Declaration::Service(Service {
            name: name.value(),
            package,
            module,
            source: Some(source),
        });
        Registration {
            declaration: Some(declaration),
            holes,
            item: quote!(Described),
        }
    });
    let ident = Ident::new("service", span);
    Expansion {
        attribute: "underlay::service!",
        keyword: "",
        ident: &ident,
        attrs: &[],
        items: TokenStream::new(),
        fallback: TokenStream::new(),
        block: TokenStream::new(),
        registration,
    }
    .into_tokens(errors)
}
