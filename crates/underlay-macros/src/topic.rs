//! `#[topic]` on `static CART_EVENTS: Topic<CartEvent>;`.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use underlay_model::model::{Delivery, Topic};
use underlay_model::{Declaration, name};

use crate::errors::Errors;
use crate::expansion::{Expansion, Registration};
use crate::fragment::{Holes, plain};
use crate::marker::marker;
use crate::options::{Grammar, Options};
use crate::source::source;
use crate::static_item::{StaticItem, cfgs, spanned_as, type_arguments};
use crate::type_text::type_text;

static GRAMMAR: Grammar = Grammar {
    attribute: "topic",
    target: "",
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
    let item = match StaticItem::parse("topic", "Topic<T>", item, &mut errors) {
        Ok(item) => item,
        Err(as_written) => return as_written,
    };
    let args = parse(&item, options, &mut errors);
    expand(&item, &args, &errors)
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

fn expand(item: &StaticItem, args: &Args, errors: &Errors) -> TokenStream {
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
    let ordered_by_name = ordered_by.as_ref().map(Ident::to_string);
    let as_topic = spanned_as(ty, quote!(<#ty as ::underlay::__private::TopicStatic>));
    let ordered_by_expr = match &ordered_by_name {
        Some(name) => quote!(::core::option::Option::Some(#name)),
        None => quote!(::core::option::Option::None),
    };
    let marker = marker(item);
    let cfgs = cfgs(attrs);
    let items = quote! {
        #(#attrs)*
        #vis static #ident: #ty = <#as_topic::Handle>::__new(#name, #ordered_by_expr);
        #marker
        #(#cfgs)*
        impl ::underlay::__private::DeclaredTopic for #ident {
            const NAME: &'static ::core::primitive::str = #name;
            type Marker = Self;
        }
        #(#cfgs)*
        impl ::underlay::__private::Carries<#as_topic::Message> for #ident {
            fn topic() -> &'static ::underlay::__private::Topic<#as_topic::Message> {
                &#ident
            }
        }
    };
    let attributes_of =
        |list| quote!(<#as_topic::Message as ::underlay::__private::Message>::#list);
    let check = ordered_by.as_ref().map(|ident| {
        let attributes = attributes_of(quote!(ATTRIBUTES));
        let name = ident.to_string();
        let call = quote_spanned!(ident.span()=> ::underlay::__private::check_ordered_by(#attributes, #name));
        quote!(const _: () = #call;)
    });
    let registration = errors.is_empty().then(|| {
        let mut holes = Holes::default();
        let message = type_arguments(ty)
            .first()
            .map_or_else(|| type_text(ty), |it| type_text(it));
        let declaration = Declaration::Topic(Topic {
            name: name.clone(),
            message: plain(&message),
            delivery: *delivery,
            ordered_by: ordered_by_name,
            attributes: holes.list(attributes_of(quote!(ATTRIBUTES_JSON))),
            service: String::new(),
            doc: item.doc(),
            source: source(ident.span(), holes.module()),
        });
        Registration {
            declaration,
            holes,
            item: quote!(Topic(&#ident)),
        }
    });
    let block = check.unwrap_or_default();
    Expansion {
        attribute: "topic",
        keyword: "static",
        ident,
        attrs,
        items,
        block,
        registration,
    }
    .into_tokens(errors)
}
