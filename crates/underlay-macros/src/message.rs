//! `#[derive(Message)]`, with `#[message(attribute)]` on fields.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{Attribute, Data, DeriveInput, Fields, Type};
use underlay_model::name::RESERVED_PREFIX;
use underlay_model::nearest::did_you_mean;

use crate::errors::Errors;
use crate::static_item::spanned_as;

struct AttributeField<'a> {
    ident: &'a Ident,
    ty: &'a Type,
}

impl AttributeField<'_> {
    fn name(&self) -> String {
        self.ident.to_string().trim_start_matches("r#").to_owned()
    }
}

pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(item) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let mut errors = Errors::default();
    let fields = parse(&input, &mut errors);
    validate(&fields, &mut errors);
    expand(&input, &fields, &errors)
}

fn parse<'a>(input: &'a DeriveInput, errors: &mut Errors) -> Vec<AttributeField<'a>> {
    let mut attribute_fields = Vec::new();
    let ident = &input.ident;
    for attr in message_attributes(&input.attrs) {
        errors.push(attr, "`#[message(…)]` goes on a field");
    }
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => {
                for field in &fields.named {
                    if let Some(ident) = &field.ident
                        && is_attribute(&field.attrs, errors)
                    {
                        attribute_fields.push(AttributeField { ident, ty: &field.ty });
                    }
                }
            }
            Fields::Unnamed(fields) => errors.push(
                fields,
                format!("a message has named fields, so that it can be extended: `struct {ident} {{ … }}`"),
            ),
            Fields::Unit => errors.push(
                ident,
                format!("a message has named fields, so that it can be extended: `struct {ident} {{ … }}`"),
            ),
        },
        Data::Enum(data) => {
            for field in data.variants.iter().flat_map(|it| &it.fields) {
                for attr in message_attributes(&field.attrs) {
                    errors.push(attr, "attributes of messages are fields of a struct, not of an enum's variant");
                }
            }
        }
        Data::Union(data) => errors.push(data.union_token, "a message is a struct or an enum, not a union"),
    }
    attribute_fields
}

fn message_attributes(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|it| it.path().is_ident("message"))
}

fn is_attribute(attrs: &[Attribute], errors: &mut Errors) -> bool {
    let mut found = false;
    for attr in message_attributes(attrs) {
        let syn::Meta::List(list) = &attr.meta else {
            errors.push(attr, "write `#[message(attribute)]`");
            continue;
        };
        match syn::parse2::<Ident>(list.tokens.clone()) {
            Ok(word) if word == "attribute" && found => {
                errors.push(attr, "`#[message(attribute)]` is given twice")
            }
            Ok(word) if word == "attribute" => found = true,
            Ok(word) => {
                let nearest = did_you_mean(&word.to_string(), ["attribute"]);
                let help = if nearest.is_empty() {
                    "; there is only `attribute`".to_owned()
                } else {
                    nearest
                };
                errors.push(&word, format!("unknown option `{word}`{help}"));
            }
            Err(_) => errors.push(attr, "write `#[message(attribute)]`"),
        }
    }
    found
}

fn validate(fields: &[AttributeField<'_>], errors: &mut Errors) {
    for field in fields {
        let name = field.name();
        if name.starts_with(RESERVED_PREFIX) {
            errors.push(
                field.ident,
                format!("the attribute `{name}` starts with `{RESERVED_PREFIX}`, which is reserved; rename the field"),
            );
        }
    }
}

fn expand(input: &DeriveInput, fields: &[AttributeField<'_>], errors: &Errors) -> TokenStream {
    let private = quote!(::underlay::__private);
    let ident = &input.ident;
    let names: Vec<String> = fields.iter().map(AttributeField::name).collect();
    let json = serde_json::to_string(&names).expect("a list of texts");
    let insertions = fields
        .iter()
        .zip(&names)
        .map(|(AttributeField { ident, ty }, name)| {
            let to_attribute =
                spanned_as(ty, quote!(<#ty as #private::AttributeValue>::to_attribute));
            quote! {
                attributes.insert(::underlay::__private::std::string::String::from(#name), #to_attribute(&self.#ident));
            }
        });
    let mut generics = input.generics.clone();
    if !generics.params.is_empty() {
        let (_, types, _) = input.generics.split_for_impl();
        let types = types.to_token_stream();
        generics
            .make_where_clause()
            .predicates
            .push(syn::parse_quote! {
                #ident #types: #private::serde::Serialize + #private::serde::de::DeserializeOwned
                    + ::underlay::__private::core::marker::Send + ::underlay::__private::core::marker::Sync + 'static
            });
    }
    let (impl_generics, types, where_clause) = generics.split_for_impl();
    let errors = errors.to_compile_errors();
    quote! {
        #errors
        #[automatically_derived]
        impl #impl_generics #private::Message for #ident #types #where_clause {
            const ATTRIBUTES: &'static [&'static ::underlay::__private::core::primitive::str] = &[#(#names),*];
            const ATTRIBUTES_JSON: &'static ::underlay::__private::core::primitive::str = #json;

            fn attributes(
                &self,
            ) -> ::underlay::__private::std::collections::BTreeMap<::underlay::__private::std::string::String, ::underlay::__private::std::string::String> {
                #[allow(unused_mut)]
                let mut attributes = ::underlay::__private::std::collections::BTreeMap::new();
                #(#insertions)*
                attributes
            }
        }
    }
}
