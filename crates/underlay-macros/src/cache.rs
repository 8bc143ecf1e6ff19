//! `#[cache]` on `static CACHE: CacheCluster;`.

use proc_macro2::TokenStream;
use quote::quote;
use underlay_model::model::{Cache, Eviction};
use underlay_model::{Declaration, name};

use crate::errors::Errors;
use crate::expansion::{Expansion, Registration};
use crate::fragment::Holes;
use crate::marker::marker;
use crate::options::{Grammar, Options};
use crate::source::source;
use crate::static_item::{StaticItem, cfgs};

static GRAMMAR: Grammar = Grammar {
    attribute: "cache",
    target: "",
    example: "",
    name: true,
    keys: &["eviction"],
};

struct Args {
    name: String,
    eviction: Eviction,
}

pub(crate) fn attribute(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut item = match StaticItem::parse("cache", "CacheCluster", item, &mut errors) {
        Ok(item) => item,
        Err(as_written) => return as_written,
    };
    let right = quote!(::underlay::__private::CacheCluster);
    let is_right = item.type_name() == "CacheCluster";
    item.require_type("cache", is_right, "`CacheCluster`", right, &mut errors);
    let args = parse(&item, options, &mut errors);
    expand(&item, &args, &errors)
}

fn parse(item: &StaticItem, options: TokenStream, errors: &mut Errors) -> Args {
    let options = Options::parse(&GRAMMAR, options, errors);
    Args {
        name: options.checked_name(&item.ident, item.kebab_name(), name::check_kebab, errors),
        eviction: options
            .one_of("eviction", &Eviction::NAMES, errors)
            .unwrap_or_default(),
    }
}

fn expand(item: &StaticItem, args: &Args, errors: &Errors) -> TokenStream {
    let StaticItem {
        attrs,
        vis,
        ident,
        ty,
    } = item;
    let Args { name, eviction } = args;
    let marker = marker(item);
    let cfgs = cfgs(attrs);
    let items = quote! {
        #(#attrs)*
        #vis static #ident: #ty = ::underlay::__private::CacheCluster::__new(#name);
        #marker
        #(#cfgs)*
        impl ::underlay::__private::DeclaredCache for #ident {
            const NAME: &'static ::underlay::__private::core::primitive::str = #name;

            fn cache() -> &'static ::underlay::__private::CacheCluster {
                &#ident
            }
        }
    };
    let registration = errors.is_empty().then(|| {
        let mut holes = Holes::default();
        let declaration = Declaration::Cache(Cache {
            name: name.clone(),
            eviction: *eviction,
            service: String::new(),
            doc: item.doc(),
            source: source(ident.span(), holes.module()),
        });
        Registration {
            declaration: Some(declaration),
            holes,
            item: quote!(Cache(&#ident)),
        }
    });
    let block = TokenStream::new();
    Expansion {
        attribute: "cache",
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
