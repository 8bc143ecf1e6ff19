//! `#[topic]` on `static CART_EVENTS: Topic<CartEvent>;`.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;
use syn::ext::IdentExt as _;
use underlay_model::model::{Delivery, Topic};
use underlay_model::{Declaration, name};

use crate::errors::Errors;
use crate::expansion::{Expansion, Registration};
use crate::fragment::{Holes, plain};
use crate::marker::marker;
use crate::options::{Grammar, Options};
use crate::source::source;
use crate::static_item::{StaticItem, cfgs, projection, type_arguments};
use crate::type_text::type_text;

static GRAMMAR: Grammar = Grammar {
    attribute: "topic",
    target: "",
    example: "",
    name: true,
    keys: &["delivery", "ordered_by"],
};

struct Args {
    name: String,
    delivery: Delivery,
    ordered_by: Option<Ident>,
}

pub(crate) fn attribute(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut item = match StaticItem::parse("topic", "Topic<T>", item, &mut errors) {
        Ok(item) => item,
        Err(as_written) => return as_written,
    };
    let message = type_arguments(&item.ty).first().map(|it| (*it).clone());
    let right = match &message {
        Some(message) => quote!(::underlay::__private::Topic<#message>),
        None => quote!(()),
    };
    let is_right = item.type_name() == "Topic" && message.is_some();
    item.require_type("topic", is_right, "`Topic<T>`", right, &mut errors);
    let args = parse(&item, options, &mut errors);
    expand(&item, message.as_ref(), &args, &errors)
}

fn parse(item: &StaticItem, options: TokenStream, errors: &mut Errors) -> Args {
    let options = Options::parse(&GRAMMAR, options, errors);
    let deliveries = [
        ("at-least-once", Delivery::AtLeastOnce),
        ("exactly-once", Delivery::ExactlyOnce),
    ];
    Args {
        name: options.checked_name(&item.ident, item.kebab_name(), name::check_kebab, errors),
        delivery: options
            .one_of("delivery", &deliveries, errors)
            .unwrap_or_default(),
        ordered_by: options.ident("ordered_by", "cart_id", errors),
    }
}

fn expand(item: &StaticItem, message: Option<&Type>, args: &Args, errors: &Errors) -> TokenStream {
    let StaticItem {
        attrs,
        vis,
        ident,
        ty,
    } = item;
    let Args {
        name,
        delivery,
        ordered_by,
    } = args;
    let ordered_by_name = ordered_by.as_ref().map(|it| it.unraw().to_string());
    let ordered_by_expr = match &ordered_by_name {
        Some(name) => quote!(::underlay::__private::core::option::Option::Some(#name)),
        None => quote!(::underlay::__private::core::option::Option::None),
    };
    let value = match message {
        Some(_) => quote!(::underlay::__private::Topic::__new(#name, #ordered_by_expr)),
        None => quote!(()),
    };
    let marker = marker(item);
    let cfgs = cfgs(attrs);
    let message_of = message.map(|message| {
        // All through the same path: a type that is no message is then one error.
        let [attributes, json, decode] = ["ATTRIBUTES", "ATTRIBUTES_JSON", "__decode"]
            .map(|it| projection(message, quote!(Message), it));
        quote! {
            #(#cfgs)*
            impl ::underlay::__private::MessageOf<#ident> for #message {
                const ATTRIBUTES: &'static [&'static ::underlay::__private::core::primitive::str] = #attributes;
                const ATTRIBUTES_JSON: &'static ::underlay::__private::core::primitive::str = #json;

                fn topic() -> &'static ::underlay::__private::Topic<#message> {
                    &#ident
                }

                fn decode(
                    body: &::underlay::__private::Bytes,
                ) -> ::underlay::__private::core::result::Result<#message, ::underlay::__private::HandlerError> {
                    #decode(body)
                }
            }
        }
    });
    let items = quote! {
        #(#attrs)*
        #vis static #ident: #ty = #value;
        #marker
        #(#cfgs)*
        impl ::underlay::__private::DeclaredTopic for #ident {
            const NAME: &'static ::underlay::__private::core::primitive::str = #name;
            type Marker = Self;
        }
        #message_of
    };
    let attributes = |constant| {
        let message =
            message.map(|message| quote!(<#message as ::underlay::__private::MessageOf<#ident>>));
        quote!(#message::#constant)
    };
    let check = ordered_by.as_ref().filter(|_| message.is_some()).map(|ident| {
        let attributes = attributes(quote!(ATTRIBUTES));
        let name = ident.unraw().to_string();
        let call = quote_spanned!(ident.span()=> ::underlay::__private::check_attribute(#attributes, #name));
        quote!(const _: () = #call;)
    });
    let registration = message.filter(|_| errors.is_empty()).map(|message| {
        let mut holes = Holes::default();
        let declaration = Declaration::Topic(Topic {
            name: name.clone(),
            message: plain(&type_text(message)),
            delivery: *delivery,
            ordered_by: ordered_by_name,
            attributes: holes.list(attributes(quote!(ATTRIBUTES_JSON))),
            service: String::new(),
            doc: item.doc(),
            source: source(ident.span(), holes.module()),
        });
        Registration {
            declaration: Some(declaration),
            holes,
            item: quote!(Topic(&#ident)),
        }
    });
    Expansion {
        attribute: "topic",
        keyword: "static",
        ident,
        attrs,
        items,
        fallback: TokenStream::new(),
        block: check.unwrap_or_default(),
        registration,
    }
    .into_tokens(errors)
}
