//! `#[secret]` on `static STRIPE_KEY: Secret;`, which becomes a function pointer, so that `STRIPE_KEY()` is a call.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use underlay_model::model::Secret;
use underlay_model::{Declaration, name};

use crate::errors::Errors;
use crate::expansion::{Expansion, Registration};
use crate::fragment::Holes;
use crate::options::{Grammar, Options};
use crate::source::source;
use crate::static_item::{StaticItem, cfgs, projection, type_arguments};

static GRAMMAR: Grammar = Grammar {
    attribute: "secret",
    target: "",
    example: "",
    name: true,
    keys: &[],
};

struct Args {
    name: String,
}

pub(crate) fn attribute(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut item = match StaticItem::parse("secret", "Secret", item, &mut errors) {
        Ok(item) => item,
        Err(as_written) => return as_written,
    };
    let right = quote!(::underlay::__private::Secret);
    let is_right = item.type_name() == "Secret";
    item.require_type(
        "secret",
        is_right,
        "`Secret` or `Secret<T>`",
        right,
        &mut errors,
    );
    let args = parse(&item, options, &mut errors);
    expand(&item, &args, &errors)
}

fn parse(item: &StaticItem, options: TokenStream, errors: &mut Errors) -> Args {
    let options = Options::parse(&GRAMMAR, options, errors);
    let from_ident = item.ident.to_string().trim_start_matches("r#").to_owned();
    Args {
        name: options.checked_name(&item.ident, from_ident, name::check_identifier, errors),
    }
}

fn expand(item: &StaticItem, args: &Args, errors: &Errors) -> TokenStream {
    let StaticItem {
        attrs,
        vis,
        ident,
        ty,
    } = item;
    let Args { name } = args;
    let value = match type_arguments(ty).first() {
        Some(value) => quote!(#value),
        None => quote!(::underlay::__private::std::string::String),
    };
    let parse = projection(&value, quote!(SecretType), "parse");
    let cell = format_ident!("__UNDERLAY_SECRET_{}", ident);
    let cfgs = cfgs(attrs);
    let items = quote! {
        #(#cfgs)*
        #[doc(hidden)]
        static #cell: ::underlay::__private::SecretCell<#value> = ::underlay::__private::SecretCell::__new(#name, #parse);
        #(#attrs)*
        #vis static #ident: #ty = {
            fn __value() -> ::underlay::__private::SecretValue<#value> {
                #cell.__value()
            }
            __value
        };
    };
    let registration = errors.is_empty().then(|| {
        let mut holes = Holes::default();
        let declaration = Declaration::Secret(Secret {
            name: name.clone(),
            service: String::new(),
            doc: item.doc(),
            source: source(ident.span(), holes.module()),
        });
        Registration {
            declaration: Some(declaration),
            holes,
            item: quote!(Secret(&#cell)),
        }
    });
    let block = TokenStream::new();
    Expansion {
        attribute: "secret",
        keyword: "static",
        ident,
        attrs,
        items,
        fallback: TokenStream::new(),
        block,
        registration,
    }
    .into_tokens(errors)
}
