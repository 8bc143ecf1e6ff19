//! `#[keyspace]` on `static REQUESTS: IntKeyspace<ResourceKey>;`.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{LitStr, Path, Type};
use underlay_model::key_pattern::KeyPattern;
use underlay_model::model::Keyspace;
use underlay_model::{Declaration, duration};

use crate::errors::Errors;
use crate::expansion::{Expansion, Registration};
use crate::fragment::{Holes, plain};
use crate::options::{Grammar, Options};
use crate::source::source;
use crate::static_item::{StaticItem, cfgs, last_segment, projection, type_arguments};
use crate::type_text::type_text;

static GRAMMAR: Grammar = Grammar {
    attribute: "keyspace",
    target: "the cache cluster's static",
    example: "CACHE",
    name: true,
    keys: &["expiry"],
};

struct Args {
    cluster: Option<Path>,
    /// The struct behind the static's type, which may be an alias of ours.
    constructor: Option<Ident>,
    pattern: Option<(LitStr, KeyPattern)>,
    expiry: Option<std::time::Duration>,
}

pub(crate) fn attribute(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let item = match StaticItem::parse("keyspace", "StringKeyspace<K>", item, &mut errors) {
        Ok(item) => item,
        Err(as_written) => return as_written,
    };
    let args = parse(&item, options, &mut errors);
    expand(&item, &args, &errors)
}

fn parse(item: &StaticItem, options: TokenStream, errors: &mut Errors) -> Args {
    let options = Options::parse(&GRAMMAR, options, errors);
    let pattern = options
        .name
        .as_ref()
        .and_then(|text| match KeyPattern::parse(&text.value()) {
            Ok(pattern) => Some((text.clone(), pattern)),
            Err(problem) => {
                errors.push(text, problem);
                None
            }
        });
    if let (None, Some(cluster)) = (&options.name, &options.target) {
        errors.push(cluster, "the key pattern is missing: write one such as `\"requests/:user_id\"` after the cluster");
    }
    let expiry = crate::options::duration(
        &options,
        "expiry",
        "10s",
        std::time::Duration::from_millis(1),
        errors,
    );
    Args {
        cluster: options.target,
        constructor: constructor(&item.ty, errors),
        pattern,
        expiry,
    }
}

fn constructor(ty: &Type, errors: &mut Errors) -> Option<Ident> {
    let constructor = match last_segment(ty)?.ident.to_string().as_str() {
        "Keyspace" | "StringKeyspace" | "IntKeyspace" | "FloatKeyspace" => "Keyspace",
        "ListKeyspace" | "StringListKeyspace" | "IntListKeyspace" => "ListKeyspace",
        "SetKeyspace" | "StringSetKeyspace" | "IntSetKeyspace" => "SetKeyspace",
        "StructKeyspace" => "StructKeyspace",
        _ => {
            errors.push(
                ty,
                format!(
                    "`#[keyspace]` needs a static of a keyspace type such as `StringKeyspace<K>`, `IntListKeyspace<K>` \
                     or `StructKeyspace<K, V>`, found `{}`",
                    type_text(ty)
                ),
            );
            return None;
        }
    };
    Some(format_ident!("{constructor}"))
}

fn expand(item: &StaticItem, args: &Args, errors: &Errors) -> TokenStream {
    let StaticItem {
        attrs,
        vis,
        ident,
        ty,
    } = item;
    let Args {
        cluster,
        constructor,
        pattern,
        expiry,
    } = args;
    let place = format_ident!("__UNDERLAY_PLACE_{}", ident);
    let cfgs = cfgs(attrs);
    let cluster_fn = match cluster {
        Some(cluster) => projection(cluster, quote!(DeclaredCache), "cache"),
        None => quote!(|| ::underlay::__private::core::unreachable!()),
    };
    let pattern_text = pattern
        .as_ref()
        .map(|(text, _)| text.value())
        .unwrap_or_default();
    let expiry_expr = match expiry.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX)) {
        Some(millis) => {
            quote!(::underlay::__private::core::option::Option::Some(::underlay::__private::core::time::Duration::from_millis(#millis)))
        }
        None => quote!(::underlay::__private::core::option::Option::None),
    };
    let Some(constructor) = constructor else {
        // There is no value to give; a static that cannot be used keeps the name known.
        let errors = errors.to_compile_errors();
        return quote! {
            #errors
            #(#cfgs)*
            #[allow(dead_code)]
            #vis static #ident: () = ();
        };
    };
    let items = quote! {
        #(#cfgs)*
        #[doc(hidden)]
        static #place: ::underlay::__private::Place =
            ::underlay::__private::Place::__new(#cluster_fn, #pattern_text);
        #(#attrs)*
        #vis static #ident: #ty = ::underlay::__private::#constructor::__new(&#place, #expiry_expr);
    };
    let key_type = type_arguments(ty).first().copied();
    let key = |constant| projection(key_type, quote!(CacheKey), constant);
    let check = pattern.as_ref().map(|(text, pattern)| {
        let parameters: Vec<_> = pattern.parameters().collect();
        let fields = key("FIELDS");
        let call = quote_spanned! {text.span()=>
            ::underlay::__private::check_key_pattern(&[#(#parameters),*], #fields)
        };
        quote!(const _: () = #call;)
    });
    let registration = cluster
        .as_ref()
        .filter(|_| errors.is_empty())
        .map(|cluster| {
            let mut holes = Holes::default();
            let cache_name = projection(cluster, quote!(DeclaredCache), "NAME");
            let declaration = Declaration::Keyspace(Keyspace {
                name: item.kebab_name(),
                cache: holes.text(cache_name),
                pattern: pattern_text.clone(),
                key: plain(
                    &type_arguments(ty)
                        .first()
                        .map_or_else(|| type_text(ty), type_text),
                ),
                key_fields: holes.list(key("FIELDS_JSON")),
                value: plain(&type_text(ty)),
                expiry: expiry.map(duration::format),
                service: String::new(),
                doc: item.doc(),
                source: source(ident.span(), holes.module()),
            });
            Registration {
                declaration: Some(declaration),
                holes,
                item: quote!(Described),
            }
        });
    let block = check.unwrap_or_default();
    Expansion {
        attribute: "keyspace",
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
