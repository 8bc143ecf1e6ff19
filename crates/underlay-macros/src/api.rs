//! `#[api]` on an axum handler.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{LitStr, Pat, PatType, Token, Type};
use underlay_model::Declaration;
use underlay_model::endpoint_path::EndpointPath;
use underlay_model::model::{Access, Endpoint};
use underlay_model::nearest::did_you_mean;

use crate::errors::Errors;
use crate::expansion::{Expansion, Registration};
use crate::fragment::Holes;
use crate::handler::Handler;
use crate::options::{Grammar, Options};
use crate::source::source;
use crate::static_item::{last_segment, type_arguments};
use crate::type_text::type_text;

const EXAMPLE: &str = "async fn handle(Path(id): Path<i64>) -> Result<Json<Order>, ApiError>";

/// The methods that axum routes by.
const METHODS: [&str; 9] = [
    "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT",
];

static GRAMMAR: Grammar = Grammar {
    attribute: "api",
    target: "",
    example: "",
    name: false,
    keys: &["method", "path", "public", "auth", "private"],
};

struct Args {
    methods: Vec<Ident>,
    path: Option<(LitStr, EndpointPath)>,
    access: Access,
}

pub(crate) fn attribute(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let handler = match Handler::parse("api", EXAMPLE, item, &mut errors) {
        Ok(handler) => handler,
        Err(as_written) => return as_written,
    };
    let args = parse(options, &mut errors);
    validate(&handler, &args, &mut errors);
    expand(&handler, &args, &errors)
}

fn parse(options: TokenStream, errors: &mut Errors) -> Args {
    let options = Options::parse(&GRAMMAR, options, errors);
    let methods = methods(&options, errors);
    let path = match options.key("path") {
        Some(_) => options.text("path", "/orders/{id}", errors),
        None => {
            errors.push_span(
                proc_macro2::Span::call_site(),
                "the path is missing: `#[api(method = GET, path = \"/orders/{id}\")]`",
            );
            None
        }
    };
    let path = path.and_then(|text| match EndpointPath::parse(&text.value()) {
        Ok(path) => Some((text, path)),
        Err(problem) => {
            errors.push(&text, problem);
            None
        }
    });
    Args {
        methods,
        path,
        access: access(&options, errors),
    }
}

fn access(options: &Options, errors: &mut Errors) -> Access {
    let mut chosen = None;
    for (key, access) in [
        ("public", Access::Public),
        ("auth", Access::Auth),
        ("private", Access::Private),
    ] {
        if options.flag(key, errors) {
            match chosen {
                None => chosen = Some((key, access)),
                Some((first, _)) => {
                    errors.push(
                        options.key(key),
                        format!("an endpoint is either `{first}` or `{key}`, not both"),
                    );
                }
            }
        }
    }
    chosen.map(|(_, access)| access).unwrap_or_default()
}

fn methods(options: &Options, errors: &mut Errors) -> Vec<Ident> {
    if options.key("method").is_none() {
        errors.push_span(
            proc_macro2::Span::call_site(),
            "the method is missing: `#[api(method = GET, path = \"/orders/{id}\")]`",
        );
        return Vec::new();
    }
    let Some(value) = options.value("method", "`GET`, or several: `[GET, POST]`", errors) else {
        return Vec::new();
    };
    if let Ok(text) = syn::parse2::<LitStr>(value.clone()) {
        errors.push(
            &text,
            format!(
                "methods are written without quotes: `method = {}`",
                text.value().to_uppercase()
            ),
        );
        return Vec::new();
    }
    let list = |input: syn::parse::ParseStream<'_>| {
        if input.peek(syn::token::Bracket) {
            let content;
            syn::bracketed!(content in input);
            Ok(Punctuated::<Ident, Token![,]>::parse_terminated(&content)?
                .into_iter()
                .collect())
        } else {
            Ok(vec![input.parse::<Ident>()?])
        }
    };
    let Ok(idents): syn::Result<Vec<Ident>> = list.parse2(value.clone()) else {
        errors.push(
            &value,
            format!(
                "`method` is `GET`, or several: `[GET, POST]`, found `{}`",
                type_text(&value)
            ),
        );
        return Vec::new();
    };
    if idents.is_empty() {
        errors.push(&value, "an endpoint has at least one method");
    }
    let mut methods: Vec<Ident> = Vec::new();
    for ident in idents {
        let text = ident.to_string();
        if !METHODS.contains(&text.as_str()) {
            let nearest = did_you_mean(&text, METHODS);
            let all = if nearest.is_empty() {
                format!("; there are `{}`", METHODS.join("`, `"))
            } else {
                nearest
            };
            errors.push(&ident, format!("unknown method `{text}`{all}"));
        } else if methods.iter().any(|it| *it == text) {
            errors.push(&ident, format!("the method `{text}` is given twice"));
        } else {
            methods.push(ident);
        }
    }
    methods
}

/// Compares the path's parameters with the `Path` argument, as far as it can be seen.
fn validate(handler: &Handler, args: &Args, errors: &mut Errors) {
    let Some((text, path)) = &args.path else {
        return;
    };
    let parameters: Vec<&str> = path.parameters().collect();
    let arguments = handler.arguments();
    let extractor = arguments
        .iter()
        .find(|it| last_segment(&it.ty).is_some_and(|it| it.ident == "Path"));
    let Some(extractor) = extractor else { return };
    if parameters.is_empty() {
        errors.push(
            &extractor.ty,
            format!("the path `{}` has no parameters to extract", text.value()),
        );
        return;
    }
    let Some((count, at)) = extracted(extractor) else {
        return;
    };
    if count != parameters.len() {
        let plural = |count| if count == 1 { "" } else { "s" };
        errors.push(
            at,
            format!(
                "the path `{}` has {} parameter{} (`{}`), the handler takes {count}",
                text.value(),
                parameters.len(),
                plural(parameters.len()),
                parameters.join("`, `"),
            ),
        );
    }
}

/// How many parameters a `Path` argument takes, if its type or pattern says so, and where it says so.
fn extracted(argument: &PatType) -> Option<(usize, TokenStream)> {
    if let Some(Type::Tuple(tuple)) = type_arguments(&argument.ty).first() {
        return Some((tuple.elems.len(), quote!(#tuple)));
    }
    if let Pat::TupleStruct(pattern) = &*argument.pat
        && let Some(Pat::Tuple(tuple)) = pattern.elems.first()
    {
        return Some((tuple.elems.len(), quote!(#tuple)));
    }
    // A primitive takes exactly one; a struct or a map of the user's may take any number.
    let ty = type_arguments(&argument.ty).first().copied()?;
    let name = last_segment(ty)?.ident.to_string();
    let single = [
        "String", "bool", "char", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32",
        "i64", "i128", "isize", "f32", "f64", "Uuid",
    ];
    single.contains(&name.as_str()).then(|| (1, quote!(#ty)))
}

fn expand(handler: &Handler, args: &Args, errors: &Errors) -> TokenStream {
    let Args {
        methods,
        path,
        access,
    } = args;
    let ident = handler.ident();
    let function = &handler.function;
    let attrs = &function.attrs;
    let items = quote!(#function);
    let (block, registration) = match path {
        Some((path, _)) if errors.is_empty() => {
            let filters = methods.iter().map(|it| {
                let filter = format_ident!("{}", it.to_string());
                quote!(::underlay::__private::axum::routing::MethodFilter::#filter)
            });
            let filter = filters.reduce(|all, one| quote!(#all.or(#one)));
            let block = quote! {
                fn __register(router: ::underlay::__private::axum::Router) -> ::underlay::__private::axum::Router {
                    router.route(#path, ::underlay::__private::axum::routing::on(#filter, #ident))
                }
            };
            let mut holes = Holes::default();
            let declaration = Declaration::Endpoint(Endpoint {
                name: ident.to_string().trim_start_matches("r#").to_owned(),
                methods: methods.iter().map(ToString::to_string).collect(),
                path: path.value(),
                access: *access,
                service: String::new(),
                doc: handler.doc(),
                source: source(ident.span(), holes.module()),
            });
            (
                block,
                Some(Registration {
                    declaration: Some(declaration),
                    holes,
                    item: quote!(Endpoint(__register)),
                }),
            )
        }
        _ => (TokenStream::new(), None),
    };
    let fallback = quote!(async fn #ident() {});
    Expansion {
        attribute: "api",
        keyword: "fn",
        ident,
        attrs,
        items,
        fallback,
        block,
        registration,
    }
    .into_tokens(errors)
}
