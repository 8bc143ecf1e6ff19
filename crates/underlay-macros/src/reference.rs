//! `#[reference]` on `static INVOICES: BucketRef<(Downloader, Lister)>;`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{Path, Type};
use underlay_model::Declaration;
use underlay_model::model::{Reference, ResourceKind};

use crate::errors::Errors;
use crate::expansion::{Expansion, Registration};
use crate::fragment::Holes;
use crate::marker::marker;
use crate::options::{Grammar, Options};
use crate::source::source;
use crate::static_item::{StaticItem, cfgs, last_segment, projection, spanned_as, type_arguments};
use crate::type_text::type_text;

static GRAMMAR: Grammar = Grammar {
    attribute: "reference",
    target: "the resource's static",
    example: "orders::UPLOADS",
    name: false,
    keys: &[],
};

struct Args {
    target: Path,
    kind: ResourceKind,
    /// The types of the permissions.
    permissions: Vec<Type>,
}

pub(crate) fn attribute(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let item = match StaticItem::parse("reference", "BucketRef<P>", item, &mut errors) {
        Ok(item) => item,
        Err(as_written) => return as_written,
    };
    let args = parse(&item, options, &mut errors);
    expand(&item, args.as_ref(), &errors)
}

fn parse(item: &StaticItem, options: TokenStream, errors: &mut Errors) -> Option<Args> {
    let options = Options::parse(&GRAMMAR, options, errors);
    let kind = kind(&item.ty, errors);
    let permissions = kind.and_then(|kind| permissions(&item.ty, kind, errors));
    Some(Args {
        target: options.target?,
        kind: kind?,
        permissions: permissions?,
    })
}

fn kind(ty: &Type, errors: &mut Errors) -> Option<ResourceKind> {
    let name = last_segment(ty)
        .map(|it| it.ident.to_string())
        .unwrap_or_default();
    let kind = match name.as_str() {
        "TopicRef" => ResourceKind::Topic,
        "BucketRef" => ResourceKind::Bucket,
        "DatabaseRef" => ResourceKind::Database,
        "CacheRef" => ResourceKind::Cache,
        _ => {
            errors.push(
                ty,
                format!(
                    "`#[reference]` needs a static of type `TopicRef<T, P>`, `BucketRef<P>`, `DatabaseRef<P>` or \
                     `CacheRef<P>`, found `{}`",
                    type_text(ty)
                ),
            );
            return None;
        }
    };
    Some(kind)
}

fn permissions(ty: &Type, kind: ResourceKind, errors: &mut Errors) -> Option<Vec<Type>> {
    let arguments = type_arguments(ty);
    let (index, example, known): (_, _, &[&str]) = match kind {
        ResourceKind::Topic => (1, "TopicRef<T, Publisher>", &["Publisher"]),
        ResourceKind::Bucket => (
            0,
            "BucketRef<(Downloader, Lister)>",
            &[
                "Uploader",
                "SignedUploader",
                "Downloader",
                "SignedDownloader",
                "Attrser",
                "Lister",
                "Remover",
                "PublicUrler",
                "ReadWrite",
            ],
        ),
        ResourceKind::Database => (0, "DatabaseRef<ReadOnly>", &["ReadOnly", "ReadWrite"]),
        ResourceKind::Cache => (0, "CacheRef<ReadWrite>", &["ReadOnly", "ReadWrite"]),
    };
    let permissions: Vec<Type> = match arguments.get(index) {
        Some(Type::Tuple(tuple)) => tuple.elems.iter().cloned().collect(),
        Some(one) => vec![(*one).clone()],
        None if kind == ResourceKind::Topic && arguments.len() == 1 => {
            vec![syn::parse_quote!(::underlay::__private::Publisher)]
        }
        None => {
            errors.push(
                ty,
                format!("the permissions are missing: write them as in `{example}`"),
            );
            return None;
        }
    };
    if permissions.is_empty() {
        errors.push(
            ty,
            format!("a reference has at least one permission: write it as in `{example}`"),
        );
    }
    let all = [
        "Publisher",
        "Uploader",
        "SignedUploader",
        "Downloader",
        "SignedDownloader",
        "Attrser",
        "Lister",
        "Remover",
        "PublicUrler",
        "ReadOnly",
        "ReadWrite",
    ];
    let mut seen: Vec<String> = Vec::new();
    for permission in &permissions {
        let Some(name) = last_segment(permission).map(|it| it.ident.to_string()) else {
            continue;
        };
        if all.contains(&name.as_str()) && !known.contains(&name.as_str()) {
            let what = type_text(last_segment(ty).map(|it| &it.ident));
            errors.push(
                permission,
                format!(
                    "`{name}` is no permission of a `{what}`; there are `{}`",
                    known.join("`, `")
                ),
            );
        }
        if seen.contains(&name) {
            errors.push(
                permission,
                format!("the permission `{name}` is given twice"),
            );
        }
        seen.push(name);
    }
    Some(permissions)
}

fn expand(item: &StaticItem, args: Option<&Args>, errors: &Errors) -> TokenStream {
    let StaticItem {
        attrs,
        vis,
        ident,
        ty,
    } = item;
    let Some(Args {
        target,
        kind,
        permissions,
    }) = args
    else {
        // Without a kind there is no value to give; a static that is never read keeps the name known.
        let errors = errors.to_compile_errors();
        let cfgs = cfgs(attrs);
        return quote! {
            #errors
            #(#cfgs)*
            #[allow(dead_code)]
            #vis static #ident: () = ();
        };
    };
    let cfgs = cfgs(attrs);
    let marker = marker(item);
    let private = quote!(::underlay::__private);
    let declared = |of_trait: &str, item: &str| {
        let of_trait = format_ident!("{of_trait}");
        projection(target, quote!(#of_trait), item)
    };
    let (constructor, target_fn, target_name, impls) = match kind {
        ResourceKind::Topic => {
            let message = type_arguments(ty).first().copied();
            let (name, marker) = (
                declared("DeclaredTopic", "NAME"),
                declared("DeclaredTopic", "Marker"),
            );
            let topic = spanned_as(
                message,
                quote!(<#message as #private::MessageOf<#marker>>::topic),
            );
            let impls = quote! {
                #(#cfgs)*
                impl #private::DeclaredTopic for #ident {
                    const NAME: &'static ::underlay::__private::core::primitive::str = #name;
                    type Marker = #marker;
                }
            };
            ("TopicRef", topic, name, impls)
        }
        ResourceKind::Bucket => {
            let (name, bucket) = (
                declared("DeclaredBucket", "NAME"),
                declared("DeclaredBucket", "bucket"),
            );
            ("BucketRef", bucket, name, TokenStream::new())
        }
        ResourceKind::Database => {
            let (name, database) = (
                declared("DeclaredDatabase", "NAME"),
                declared("DeclaredDatabase", "database"),
            );
            ("DatabaseRef", database, name, TokenStream::new())
        }
        ResourceKind::Cache => {
            let (name, cache) = (
                declared("DeclaredCache", "NAME"),
                declared("DeclaredCache", "cache"),
            );
            let impls = quote! {
                #(#cfgs)*
                impl #private::DeclaredCache for #ident {
                    const NAME: &'static ::underlay::__private::core::primitive::str = #name;

                    fn cache() -> &'static #private::CacheCluster {
                        #cache()
                    }
                }
            };
            ("CacheRef", cache, name, impls)
        }
    };
    let constructor = format_ident!("{constructor}");
    let items = quote! {
        #(#attrs)*
        #vis static #ident: #ty = #private::#constructor::__new(#target_fn);
        #marker
        #impls
    };
    let registration = errors.is_empty().then(|| {
        let mut holes = Holes::default();
        let permissions = permissions.iter().map(|ty| {
            let name = spanned_as(ty, quote!(<#ty as #private::Permission>::NAME));
            holes.text(name)
        });
        let permissions = permissions.collect();
        let declaration = Declaration::Reference(Reference {
            name: item.kebab_name(),
            kind: *kind,
            resource: holes.text(target_name),
            permissions,
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
    // Told where the permission is, if it is named as ours is.
    let block = permissions
        .iter()
        .filter(|_| *kind == ResourceKind::Bucket)
        .filter_map(last_segment)
        .filter(|it| it.ident == "PublicUrler")
        .map(|it| {
            let (public, name) = (
                declared("DeclaredBucket", "PUBLIC"),
                declared("DeclaredBucket", "NAME"),
            );
            let call = quote_spanned!(it.ident.span()=> ::underlay::__private::check_public(#public, #name));
            quote!(const _: () = #call;)
        })
        .collect();
    Expansion {
        attribute: "reference",
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
