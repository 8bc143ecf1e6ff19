//! `#[subscription]` on `async fn handler(event: CartEvent) -> Result<(), E>`.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::{Path, Type};
use underlay_model::model::{DeliveryOptions, Subscription};
use underlay_model::{Declaration, duration, name};

use crate::errors::Errors;
use crate::expansion::{Expansion, Registration};
use crate::filter;
use crate::fragment::Holes;
use crate::handler::Handler;
use crate::options::{self, Grammar, Options};
use crate::source::source;
use crate::static_item::{projection, spanned_as};
use crate::type_text::type_text;

const EXAMPLE: &str = "async fn handle(event: Event) -> underlay::Result<()>";

static GRAMMAR: Grammar = Grammar {
    attribute: "subscription",
    target: "the topic's static",
    example: "CART_EVENTS",
    name: true,
    keys: &[
        "max_concurrency",
        "ack_deadline",
        "retention",
        "min_backoff",
        "max_backoff",
        "max_retries",
        "filter",
        "idempotent_in",
    ],
};

struct Args {
    topic: Option<Path>,
    name: String,
    delivery: DeliveryOptions,
    filter: filter::Parsed,
    /// The database that records what was handled.
    idempotent_in: Option<Path>,
}

pub(crate) fn attribute(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let handler = match Handler::parse("subscription", EXAMPLE, item, &mut errors) {
        Ok(handler) => handler,
        Err(as_written) => return as_written,
    };
    let args = parse(&handler, options, &mut errors);
    validate(&handler, &mut errors);
    expand(&handler, &args, &errors)
}

fn parse(handler: &Handler, options: TokenStream, errors: &mut Errors) -> Args {
    let options = Options::parse(&GRAMMAR, options, errors);
    Args {
        name: options.checked_name(
            handler.ident(),
            handler.kebab_name(),
            name::check_kebab,
            errors,
        ),
        delivery: delivery(&options, errors),
        filter: filter::parse(&options, errors),
        idempotent_in: idempotent_in(&options, errors),
        topic: options.target,
    }
}

fn delivery(options: &Options, errors: &mut Errors) -> DeliveryOptions {
    let mut delivery = DeliveryOptions::default();
    if let Some(number) = options.number("max_concurrency", "10", errors) {
        if number == 0
            && let Some(key) = options.key("max_concurrency")
        {
            errors.push(
                key,
                "`max_concurrency` is at least 1; with 0, no message would ever be handled",
            );
        }
        delivery.max_concurrency = number;
    }
    let second = Duration::from_secs(1);
    let mut set = |key, example, least, field: &mut String| {
        let value = options::duration(options, key, example, least, errors)?;
        *field = duration::format(value);
        Some(value)
    };
    set("ack_deadline", "30s", second, &mut delivery.ack_deadline);
    set(
        "retention",
        "7d",
        Duration::from_secs(60),
        &mut delivery.retention,
    );
    let min = set("min_backoff", "10s", second, &mut delivery.min_backoff);
    let max = set("max_backoff", "10m", second, &mut delivery.max_backoff);
    if min.is_some() || max.is_some() {
        let of = |text: &str| duration::parse(text).unwrap_or_default();
        if of(&delivery.min_backoff) > of(&delivery.max_backoff) {
            let DeliveryOptions {
                min_backoff,
                max_backoff,
                ..
            } = &delivery;
            let (key, default) = match (min, max) {
                (Some(_), Some(_)) => ("max_backoff", ""),
                (Some(_), None) => ("min_backoff", ", its default"),
                _ => ("max_backoff", ""),
            };
            let min_default = if min.is_none() { ", its default" } else { "" };
            errors.push(
                options.key(key),
                format!(
                    "`max_backoff` is at least `min_backoff`, but `{max_backoff}`{default} is less than \
                     `{min_backoff}`{min_default}"
                ),
            );
        }
    }
    delivery.max_retries = max_retries(options, errors).unwrap_or(delivery.max_retries);
    delivery
}

fn max_retries(options: &Options, errors: &mut Errors) -> Option<Option<u32>> {
    let expected = "a whole number or `\"infinite\"`";
    let value = options.value("max_retries", expected, errors)?;
    if let Ok(number) = syn::parse2::<syn::LitInt>(value.clone())
        && let Ok(number) = number.base10_parse()
    {
        return Some(Some(number));
    }
    match syn::parse2::<syn::LitStr>(value.clone()) {
        Ok(text) if text.value() == "infinite" => Some(None),
        _ => {
            errors.push(
                &value,
                format!("`max_retries` is {expected}, found `{}`", type_text(&value)),
            );
            None
        }
    }
}

fn idempotent_in(options: &Options, errors: &mut Errors) -> Option<Path> {
    let path = options.path("idempotent_in", "a `#[database]` static", "ORDERS", errors);
    if cfg!(not(feature = "postgres"))
        && let Some(key) = options.key("idempotent_in")
    {
        errors.push(
            key,
            "`idempotent_in` needs the feature `postgres` of underlay: underlay = { features = [\"postgres\"] }",
        );
    }
    path
}

fn validate(handler: &Handler, errors: &mut Errors) {
    handler.require_output("subscription", errors);
    let arguments = handler.arguments();
    match arguments.as_slice() {
        [] => errors.push(
            handler.ident(),
            format!("a `#[subscription]` handler takes the message: `{EXAMPLE}`"),
        ),
        [event, rest @ ..] => {
            if let Type::Reference(ty) = &*event.ty {
                errors.push(
                    ty,
                    format!(
                        "the message is handed over by value: write `{}`",
                        type_text(&ty.elem)
                    ),
                );
            }
            if let [delivery, ..] = rest
                && !matches!(&*delivery.ty, Type::Reference(ty) if ty.mutability.is_none())
            {
                errors.push(
                    &delivery.ty,
                    "the second parameter of a `#[subscription]` handler is a `&Delivery`",
                );
            }
            if let [_, third, ..] = rest {
                errors.push(
                    third,
                    "a `#[subscription]` handler takes the message and at most a `&Delivery`",
                );
            }
        }
    }
}

fn expand(handler: &Handler, args: &Args, errors: &Errors) -> TokenStream {
    let Args {
        topic,
        name,
        delivery,
        filter,
        idempotent_in,
    } = args;
    let ident = handler.ident();
    let function = &handler.function;
    let attrs = &function.attrs;
    let items = quote!(#function);
    let arguments = handler.arguments();
    let parts = (topic, arguments.as_slice(), handler.output());
    let (block, registration) = match parts {
        (Some(topic), [event, rest @ ..], Some(output)) if errors.is_empty() => {
            let event = &event.ty;
            let topic_name = projection(topic, quote!(DeclaredTopic), "NAME");
            let marker = projection(topic, quote!(DeclaredTopic), "Marker");
            let decode = spanned_as(
                event,
                quote!(<#event as ::underlay::__private::MessageOf<#marker>>::decode),
            );
            let delivery_argument = rest.first().map(|it| spanned_as(&it.ty, quote!(&delivery)));
            let call = quote!(#ident(event, #delivery_argument).await);
            let outcome = spanned_as(
                output,
                quote!(<#output as ::underlay::__private::HandlerOutcome>::into_outcome),
            );
            let attributes = spanned_as(
                event,
                quote!(<#event as ::underlay::__private::MessageOf<#marker>>::ATTRIBUTES),
            );
            let checks = filter.attributes.iter().map(|ident| {
                let name = ident.unraw().to_string();
                let call = quote_spanned!(ident.span()=> ::underlay::__private::check_attribute(#attributes, #name));
                quote!(const _: () = #call;)
            });
            let block = quote! {
                #(#checks)*
                fn __handle(
                    body: ::underlay::__private::Bytes,
                    delivery: ::underlay::__private::Delivery,
                ) -> ::underlay::__private::HandlerFuture {
                    ::underlay::__private::std::boxed::Box::pin(async move {
                        let _ = &delivery;
                        let event = #decode(&body)?;
                        #outcome(#call)
                    })
                }
            };
            let mut holes = Holes::default();
            let module = holes.module();
            let declaration = Declaration::Subscription(Subscription {
                name: name.clone(),
                topic: holes.text(topic_name),
                handler: format!("{module}::{ident}"),
                delivery: delivery.clone(),
                filter: filter.filter.clone(),
                idempotent_in: idempotent_in
                    .as_ref()
                    .map(|it| holes.text(projection(it, quote!(DeclaredDatabase), "NAME"))),
                service: String::new(),
                doc: handler.doc(),
                source: source(ident.span(), module),
            });
            (
                block,
                Some(Registration {
                    declaration: Some(declaration),
                    holes,
                    item: quote!(Subscription(__handle)),
                }),
            )
        }
        _ => (TokenStream::new(), None),
    };
    let fallback = handler.output().map(|output| {
        let delivery = (arguments.len() > 1).then(|| quote!(_: &::underlay::__private::Delivery));
        quote! {
            fn #ident<T>(_: T, #delivery) -> ::underlay::__private::core::future::Ready<#output> {
                ::underlay::__private::core::unreachable!()
            }
        }
    });
    let fallback = fallback.unwrap_or_default();
    Expansion {
        attribute: "subscription",
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
