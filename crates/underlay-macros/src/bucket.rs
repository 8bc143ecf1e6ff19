//! `#[bucket]` on `static UPLOADS: Bucket;`.

use proc_macro2::TokenStream;
use quote::quote;
use underlay_model::model::Bucket;
use underlay_model::{Declaration, name};

use crate::errors::Errors;
use crate::expansion::{Expansion, Registration};
use crate::fragment::Holes;
use crate::marker::marker;
use crate::options::{Grammar, Options};
use crate::source::source;
use crate::static_item::{StaticItem, cfgs};

static GRAMMAR: Grammar = Grammar {
    attribute: "bucket",
    target: "",
    example: "",
    name: true,
    keys: &["public", "versioned"],
};

struct Args {
    name: String,
    public: bool,
    versioned: bool,
}

pub(crate) fn attribute(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut item = match StaticItem::parse("bucket", "Bucket", item, &mut errors) {
        Ok(item) => item,
        Err(as_written) => return as_written,
    };
    let right = quote!(::underlay::__private::Bucket);
    let is_right = item.type_name() == "Bucket";
    item.require_type("bucket", is_right, "`Bucket`", right, &mut errors);
    let args = parse(&item, options, &mut errors);
    expand(&item, &args, &errors)
}

fn parse(item: &StaticItem, options: TokenStream, errors: &mut Errors) -> Args {
    let options = Options::parse(&GRAMMAR, options, errors);
    Args {
        name: options.checked_name(&item.ident, item.kebab_name(), name::check_kebab, errors),
        public: options.flag("public", errors),
        versioned: options.flag("versioned", errors),
    }
}

fn expand(item: &StaticItem, args: &Args, errors: &Errors) -> TokenStream {
    let StaticItem {
        attrs,
        vis,
        ident,
        ty,
    } = item;
    let Args {
        name,
        public,
        versioned,
    } = args;
    let marker = marker(item);
    let cfgs = cfgs(attrs);
    let items = quote! {
        #(#attrs)*
        #vis static #ident: #ty = ::underlay::__private::Bucket::__new(#name);
        #marker
        #(#cfgs)*
        impl ::underlay::__private::DeclaredBucket for #ident {
            const NAME: &'static ::underlay::__private::core::primitive::str = #name;
            const PUBLIC: ::underlay::__private::core::primitive::bool = #public;

            fn bucket() -> &'static ::underlay::__private::Bucket {
                &#ident
            }
        }
    };
    let registration = errors.is_empty().then(|| {
        let mut holes = Holes::default();
        let declaration = Declaration::Bucket(Bucket {
            name: name.clone(),
            public: *public,
            versioned: *versioned,
            service: String::new(),
            doc: item.doc(),
            source: source(ident.span(), holes.module()),
        });
        Registration {
            declaration: Some(declaration),
            holes,
            item: quote!(Bucket(&#ident)),
        }
    });
    let block = TokenStream::new();
    Expansion {
        attribute: "bucket",
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
